"""What workflow code once decided it decides again, and it brings in nothing that would hinder that. (The sandbox: trap 20.)"""

import subprocess
import sys

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from orchestration.failures import FAILS_THE_WORKFLOW
from orchestration.worker import WORKFLOWS
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from tests.orchestration.standins import ScriptedLedger, play, staged, until


@pytest.mark.parametrize("defined", WORKFLOWS, ids=lambda defined: defined.__name__)
def test_a_workflow_module_brings_in_no_client_library(defined: type) -> None:
    heavy = "'psycopg', 'httpx', 'smtplib', 'langgraph', 'langchain_core', 'fastapi', 'sqlalchemy', 'dagster', 'yaml'"
    code = f"import sys, {defined.__module__}; print([name for name in ({heavy}) if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def _replayer() -> Replayer:
    setup_telemetry("spine-tests", Settings())
    return Replayer(
        workflows=list(WORKFLOWS),
        data_converter=pydantic_data_converter,
        plugins=[OpenTelemetryPlugin(add_temporal_spans=True)],
        workflow_failure_exception_types=list(FAILS_THE_WORKFLOW),
    )


def test_a_history_with_approval_edit_and_compensation_replays(temporal: str) -> None:
    def prepare(ledger: ScriptedLedger) -> None:
        ledger.needs_approval = {"send_contract_for_signature"}
        ledger.envelope_status = "declined"

    async def scene() -> None:
        async with staged(temporal, prepare=prepare) as stage:
            handle, intent = await stage.start_contract(), await stage.ledger.asked()
            stage.ledger.supersede(intent.intent_id, state="runnable")
            await handle.signal("approval-resolved", {"approval_id": intent.approval_id, "intent_id": intent.intent_id})
            assert (await handle.result())["outcome"] == "declined"
            recorded = WorkflowHistory.from_json(handle.id, (await handle.fetch_history()).to_json())
        await _replayer().replay_workflow(recorded)

    play(scene())


def test_a_history_that_another_code_made_is_noticed(temporal: str) -> None:
    async def scene() -> None:
        async with staged(temporal) as stage:
            handle = await stage.start_outreach()
            await until(lambda: stage.ledger.executed)
            await handle.terminate()
            recorded = (await handle.fetch_history()).to_json()
        changed = recorded.replace("execute-effect", "execute-effects")
        with pytest.raises(workflow.NondeterminismError):
            await _replayer().replay_workflow(WorkflowHistory.from_json(handle.id, changed))

    play(scene())
