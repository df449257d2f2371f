"""The graph where it runs: in an activity of a real worker."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.outputs import ChatResult
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from orchestration.graphs import GraphRunner, OutreachProposal
from orchestration.graphs.models import Model, flat_price
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from spine.temporal import connect
from spine.testing.models import ScriptedChatModel
from tests.graphs.world import BUDGET, DRAFTED, LEAD, SCORED, memory


class Slow(ScriptedChatModel):
    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        time.sleep(2.5)
        return super()._generate(*args, **kwargs)


@workflow.defn(sandboxed=False)
class Reasoning:
    @workflow.run
    async def run(self, heartbeat_timeout: float) -> dict[str, Any]:
        return await workflow.execute_activity(
            "qualify",
            start_to_close_timeout=timedelta(seconds=20),
            heartbeat_timeout=timedelta(seconds=heartbeat_timeout),
            retry_policy=RetryPolicy(maximum_attempts=1),
            result_type=dict[str, Any],
        )


async def reason(address: str, runner: GraphRunner, name: str) -> dict[str, Any]:
    @activity.defn(name="qualify")
    def qualify() -> OutreachProposal:
        return runner.qualify_lead(
            tenant_id="demo", workflow_id=activity.info().workflow_id, step=0, lead=LEAD, heartbeat=activity.heartbeat
        )

    setup_telemetry("tests", Settings())
    client = await connect(address)
    with ThreadPoolExecutor(2) as threads:
        async with Worker(client, task_queue=name, workflows=[Reasoning], activities=[qualify], activity_executor=threads):
            return await client.execute_workflow(Reasoning.run, 1.0, id=f"demo/{name}/1", task_queue=name)


def runner(every: timedelta) -> GraphRunner:
    chat = Slow([SCORED, DRAFTED])
    model = Model(name="test:slow", price=flat_price("0/0"), make=lambda _limits: chat)
    return GraphRunner(Settings(), memory(), model, budget=BUDGET, heartbeat_every=every)


def test_a_model_slower_than_the_heartbeat_timeout_does_not_lose_the_activity(temporal: str) -> None:
    proposal = asyncio.run(reason(temporal, runner(timedelta(milliseconds=100)), "slow-model"))
    assert (proposal["outcome"], proposal["tokens"]) == ("proposed", 300)


def test_without_the_pulse_it_would(temporal: str) -> None:
    with pytest.raises(WorkflowFailureError) as raised:
        asyncio.run(reason(temporal, runner(timedelta(minutes=1)), "no-pulse"))
    assert "timeout" in str(raised.value.cause.cause).lower()  # type: ignore[union-attr]
