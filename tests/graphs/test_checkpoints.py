"""Checkpoint threads: whose they are, and when they go. How the tables are set up is in the tests of traps 36 to 38."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from spine.errors import InvalidInput
from spine.storage import Checkpointer, thread_id


def put(checkpointer: Checkpointer, thread: str, at: datetime) -> None:
    config = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    checkpointer.saver().put(config, {**empty_checkpoint(), "ts": at.isoformat()}, {"source": "loop", "step": 0, "parents": {}}, {})


def threads(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("select distinct thread_id from checkpoints")}


def test_only_threads_that_rested_long_enough_are_pruned(checkpoints_url: str) -> None:
    now = datetime.now(UTC)
    with Checkpointer(checkpoints_url) as checkpointer:
        put(checkpointer, "demo/w1/0", now - timedelta(days=40))
        put(checkpointer, "demo/w2/0", now - timedelta(days=40))
        put(checkpointer, "demo/w2/0", now)
        assert checkpointer.prune(now - timedelta(days=30)) == 1
        assert threads(checkpoints_url) == {"demo/w2/0"}
        checkpointer.forget(["demo/w2/0", "demo/unknown/0"])
        assert threads(checkpoints_url) == set()
        assert checkpointer.prune(now) == 0
        with pytest.raises(InvalidInput, match="no zone"):
            checkpointer.prune(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


@pytest.mark.parametrize("parts", [("", "w", "0"), ("demo", " ", "0"), ("demo", "w", ""), ("a/b", "w", "0")])
def test_a_thread_belongs_to_one_tenant_workflow_and_step(parts: tuple[str, str, str]) -> None:
    assert thread_id("demo", "demo/outreach-sequence/L1", "0") == "demo/demo/outreach-sequence/L1/0"
    with pytest.raises(InvalidInput):
        thread_id(*parts)
