"""By default a checkpoint can import and call any Python callable that its bytes name.

Ours brings to life the types that a graph names, and nothing else; what it does not know stays plain data.
"""

import pickle
from pathlib import Path

import ormsgpack
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_SINGLE_ARG, JsonPlusSerializer
from pydantic import BaseModel

from spine.storage import Checkpointer


class Named(BaseModel):
    word: str


def evil(touched: Path) -> tuple[str, bytes]:
    """What an attacker with write access would leave: `os.mkdir(touched)`, as a value to be constructed."""
    inner = ormsgpack.packb(("os", "mkdir", str(touched)))
    return "msgpack", ormsgpack.packb(ormsgpack.Ext(EXT_CONSTRUCTOR_SINGLE_ARG, inner))


def test_the_default_calls_what_the_bytes_name(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    JsonPlusSerializer().loads_typed(evil(touched))
    assert touched.exists(), "the default has become strict: our own list could go"


def test_ours_leaves_it_as_data(tmp_path: Path, checkpoints_url: str) -> None:
    touched = tmp_path / "touched"
    with Checkpointer(checkpoints_url) as checkpointer:
        loaded = checkpointer.saver([Named]).serde.loads_typed(evil(touched))
    assert loaded == str(touched)
    assert not touched.exists()


@pytest.mark.parametrize(("types", "comes_back"), [((Named,), Named(word="yes")), ((), {"word": "yes"})])
def test_a_type_comes_back_from_the_database_only_if_the_graph_names_it(
    checkpoints_url: str, types: tuple[type, ...], comes_back: object
) -> None:
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    with Checkpointer(checkpoints_url) as checkpointer:
        saver = checkpointer.saver(types)
        checkpoint = {**empty_checkpoint(), "channel_values": {"it": Named(word="yes")}, "channel_versions": {"it": "1"}}
        saver.put(config, checkpoint, {"source": "loop", "step": 0, "parents": {}}, {"it": "1"})
        kept = saver.get_tuple(config)
    assert kept is not None
    assert kept.checkpoint["channel_values"]["it"] == comes_back


def test_nothing_is_ever_pickled(checkpoints_url: str) -> None:
    with Checkpointer(checkpoints_url) as checkpointer:
        serializer = checkpointer.saver().serde
        with pytest.raises(TypeError):
            serializer.dumps_typed(Path)
        with pytest.raises(NotImplementedError, match="pickle"):
            serializer.loads_typed(("pickle", pickle.dumps("harmless")))
