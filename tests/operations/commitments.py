"""A commitment of two steps, the second of which may break."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel


class StepInput(BaseModel):
    tenant_id: str
    correlation_id: str
    attempts: int = 2


@workflow.defn(name="two-steps")
class TwoSteps:
    @workflow.run
    async def run(self, given: StepInput) -> str:
        policy = RetryPolicy(initial_interval=timedelta(milliseconds=20), maximum_attempts=given.attempts)
        done = [
            await workflow.execute_activity(name, given, result_type=str, start_to_close_timeout=timedelta(seconds=10), retry_policy=policy)
            for name in ("first-step", "second-step")
        ]
        return " then ".join(done)
