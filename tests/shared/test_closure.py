"""What `shared.events` does not import, and that Temporal's sandbox takes it as it is."""

import asyncio
import subprocess
import sys

import temporalio.workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.shared import sandboxed

LOAD = """
import sys
import shared.events, shared.events.keys, shared.events.records, shared.events.classes, shared.events.export
expected = {"shared", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
roots = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - expected
print(*(root for root in roots if not root.startswith(("__", "_sysconfigdata"))))  # the latter is the standard library's, named by platform
"""


def _fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_shared_events_loads_pydantic_and_the_standard_library_only() -> None:
    before = set(_fresh("import sys; print(*{name.partition('.')[0] for name in sys.modules})").split())  # what site itself loads
    assert set(_fresh(LOAD).split()) - before == set()


def test_the_check_of_the_closure_can_fail() -> None:
    assert "psycopg" in _fresh("import psycopg\n" + LOAD).split()


def test_trap_20_events_load_and_work_inside_the_workflow_sandbox() -> None:
    async def prepare() -> None:
        definition = temporalio.workflow._Definition.must_from_class(sandboxed.ReadsEvents)
        SandboxedWorkflowRunner().prepare_workflow(definition)

    asyncio.run(prepare())
