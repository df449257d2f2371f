"""The code in the guides is code: it is taken out, made a package of, and used."""

import asyncio
import importlib
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from temporalio import workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from shared.events import Envelope, SignatureCompleted
from spine.ids import new_id
from spine.policy import PolicyTable
from spine.registry import Registry

GUIDE = Path(__file__).parents[2] / "docs/guides/add-an-automation.md"
WRITTEN, PACKAGE = "orchestration.workflows.signature_notice", "signature_notice_of_the_guide"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").touch()
    blocks = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL))
    for name, code in blocks.items():
        (folder / f"{name}.py").write_text(code.replace(WRITTEN, PACKAGE))
    monkeypatch.syspath_prepend(tmp_path)
    yield {name: importlib.import_module(f"{PACKAGE}.{name}") for name in blocks}
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def test_the_automation_of_the_guide_is_one_that_the_registry_and_the_gate_know(example: dict[str, ModuleType]) -> None:
    automation = example["manifest"].SIGNATURE_NOTICE
    registry = Registry.of([automation])
    registry.check()
    assert automation.runs.name == example["messages"].NAME
    known = PolicyTable.load()
    assert all(known.rule(action).plugin for action in automation.effects)


def test_its_input_carries_the_journey_on(example: dict[str, ModuleType]) -> None:
    data = SignatureCompleted(deal_id="D1", envelope_id="E1", signed_at=datetime(2026, 11, 22, tzinfo=UTC))
    envelope = Envelope.of(data, source="tests", tenant_id="demo", correlation_id="c1", event_id=new_id(), time=data.signed_at)
    automation = example["manifest"].SIGNATURE_NOTICE
    given = automation.payload(envelope, data)
    assert (given.tenant_id, given.correlation_id, given.causation_id) == ("demo", "c1", envelope.id)
    assert automation.workflow_id("demo", automation.key(data)) == "demo/signature-notice/D1"


def test_its_workflow_loads_in_the_sandbox(example: dict[str, ModuleType]) -> None:
    async def prepare() -> None:
        SandboxedWorkflowRunner().prepare_workflow(workflow._Definition.must_from_class(example["workflow"].SignatureNotice))

    asyncio.run(prepare())
