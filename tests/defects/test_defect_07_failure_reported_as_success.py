"""Defect 7: exceptions were swallowed, and a run that had failed was written down as completed. Here a failure has a type, ends as
`failed` (or stays unknown), is announced as such, and no handler of ours catches everything and goes on.
"""

import ast
from pathlib import Path

import pytest

from spine.effects import Failed
from spine.errors import OutcomeUnknown
from tests.governance.support import Desk, ScriptedConnector

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("platform/spine", "orchestration", "data_jobs", "shared") for path in (ROOT / folder).rglob("*.py"))


def swallowed(source: str) -> list[int]:
    """Lines of handlers that catch everything and neither raise, nor look at what they caught, nor log it with its place."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ExceptHandler) or not _is_broad(node.type):
            continue
        inside = [one for statement in node.body for one in ast.walk(statement)]
        raises = any(isinstance(one, ast.Raise) for one in inside)
        uses = node.name is not None and any(isinstance(one, ast.Name) and one.id == node.name for one in inside)
        logs = any(isinstance(one, ast.Attribute) and one.attr == "exception" for one in inside)
        if not (raises or uses or logs):
            found.append(node.lineno)
    return found


def _is_broad(caught: ast.expr | None) -> bool:
    names = [one.id for one in ast.walk(caught) if isinstance(one, ast.Name)] if caught is not None else ["BaseException"]
    return bool({"Exception", "BaseException"} & set(names))


def test_no_handler_catches_everything_and_goes_on() -> None:
    assert len(SOURCES) > 150
    assert {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := swallowed(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize("handler", ["except Exception:\n    pass", "except:\n    done = True", "except Exception as error:\n    ok = 1"])
def test_the_check_sees_one_that_does(handler: str) -> None:
    assert swallowed(f"try:\n    work()\n{handler}\n") == [3]


def test_what_the_provider_refused_is_failed_and_announced_as_failed(desk: Desk) -> None:
    intent_id = desk.runnable().intent_id
    desk.provider.perform_script = ["refuse"]
    assert isinstance(desk.execute(intent_id), Failed)
    assert desk.state(intent_id) == "failed"
    assert [one["outcome"] for one in desk.events("effect.recorded")] == ["failed"]


def test_what_nobody_foresaw_is_raised_and_never_completed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ScriptedConnector, tenant_id: str, payload: object) -> dict[str, object]:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(ScriptedConnector, "perform", broken)
    intent_id = desk.runnable().intent_id
    with pytest.raises(RuntimeError, match="nobody foresaw"):
        desk.execute(intent_id)
    assert desk.state(intent_id) == "executing", "it may have happened: the next attempt asks"
    assert desk.events("effect.recorded") == []


def test_a_lost_answer_is_unknown_and_not_a_success(desk: Desk) -> None:
    intent_id = desk.runnable().intent_id
    desk.provider.perform_script = ["lose_answer"]
    with pytest.raises(OutcomeUnknown):
        desk.execute(intent_id)
    assert desk.state(intent_id) == "unknown"
    assert [one["outcome"] for one in desk.events("effect.recorded")] == ["unknown"]
