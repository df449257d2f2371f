"""Importing a client library at the top of a workflow module fails the worker's start.

The sandbox restricts what such libraries do while they are imported. So workflow modules import messages, events and the clock
only, activities live in modules of their own, and the worker keeps the sandbox on. When the first test here fails, the sandbox
has become more lenient and the rule is one of style only.
"""

import asyncio
import sys
import textwrap
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError, SandboxedWorkflowRunner

from orchestration.worker import WORKFLOWS


def load(defined: type) -> None:
    """As a worker's start does."""

    async def prepared() -> None:
        SandboxedWorkflowRunner().prepare_workflow(workflow._Definition.must_from_class(defined))

    asyncio.run(prepared())


def _workflow_importing(library: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    name = f"trap_20_{library.replace('.', '_')}"
    (folder / f"{name}.py").write_text(
        textwrap.dedent(
            f"""
            from temporalio import workflow
            import {library}

            @workflow.defn(name="{name}")
            class Importing:
                @workflow.run
                async def run(self) -> None: ...
            """
        )
    )
    monkeypatch.syspath_prepend(str(folder))
    defined: type = __import__(name).Importing
    monkeypatch.delitem(sys.modules, name, raising=False)
    return defined


@pytest.mark.parametrize("library", ["httpx", "langgraph.graph"])
def test_a_workflow_module_that_imports_a_client_library_does_not_load(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defined = _workflow_importing(library, tmp_path, monkeypatch)
    with pytest.raises(RestrictedWorkflowAccessError):
        load(defined)


@pytest.mark.parametrize("library", ["pydantic", "shared.events", "spine.clock", "spine.errors"])
def test_what_our_workflow_modules_import_loads(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defined = _workflow_importing(library, tmp_path, monkeypatch)
    load(defined)


@pytest.mark.parametrize("defined", WORKFLOWS, ids=lambda defined: defined.__name__)
def test_our_workflows_load_in_the_sandbox(defined: type) -> None:
    load(defined)
