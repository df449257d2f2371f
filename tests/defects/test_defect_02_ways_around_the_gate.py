"""Defect 2: the gate guarded one module; the dispatcher, the workers, the sequences and the agents' graph sent without it.

The cure: connectors are handed to `spine.effects` by the worker, and nobody else can name one; `effects` starts from a judged intent
and from nothing else. The first test reads the code that exists, so a new way out fails here before it is used.
"""

import ast
from pathlib import Path

import pytest

import data_jobs
import orchestration
from spine.errors import NotFound
from spine.ids import new_id
from tests.governance.support import Desk

ROOT = Path(str(orchestration.__file__)).parents[1]
PLANES = (Path(str(orchestration.__file__)).parent, Path(str(data_jobs.__file__)).parent, ROOT / "platform" / "spine")
MAY_SPEAK_OUTSIDE = (
    "orchestration/plugins",  # the connectors
    "platform/spine/testing",
    "platform/spine/demo",
)
WAYS_OUT = {"httpx", "requests", "smtplib", "urllib.request", "aiohttp", "socket", "http.client"}
NOT_TO_PROVIDERS = {
    # our own servers, and those who ask us to call them
    "platform/spine/stack",
    "platform/spine/webhooks_out",
    "platform/spine/identity",
    "platform/spine/cli",
    "platform/spine/gateway",
    "platform/spine/telemetry.py",
    "orchestration/graphs/models.py",
}


def test_nothing_but_a_connector_can_speak_to_a_provider() -> None:
    for folder in PLANES:
        for file in folder.rglob("*.py"):
            name = file.relative_to(ROOT).as_posix()
            if name.startswith((*MAY_SPEAK_OUTSIDE, *NOT_TO_PROVIDERS)):
                continue
            ways = {one for one in _imported(file) if one in WAYS_OUT or one.split(".")[0] in WAYS_OUT}
            assert not ways, f"{name} imports {ways}: what leaves the company goes through spine.effects"


def test_a_connector_is_named_by_the_worker_only() -> None:
    for folder in PLANES:
        for file in folder.rglob("*.py"):
            name = file.relative_to(ROOT).as_posix()
            if any(one.startswith("orchestration.plugins") for one in _imported(file)):
                assert name.startswith("orchestration/plugins/"), f"{name} names a connector"


def test_what_was_never_proposed_cannot_be_carried_out(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.execute(str(new_id()))
    denied = desk.propose("bypass_auth")
    waiting = desk.propose("send_email")
    for proposed in (denied, waiting):
        assert type(desk.execute(proposed.intent_id)).__name__ == "NotRunnable"
    assert desk.provider.happened == {}


def _imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
