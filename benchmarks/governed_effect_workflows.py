"""The two workflows that `governed_effect` compares, in a module that the sandbox can load."""

from typing import Any

from temporalio import workflow

from orchestration.governed.workflow import GovernedWorkflow

with workflow.unsafe.imports_passed_through():
    from orchestration.governed.messages import Commitment
    from orchestration.governed.outcomes import Done
    from orchestration.options import EFFECT

ACTION = "crm_deal_update"
GOVERNED_NAME = "bench-governed"


@workflow.defn(name=GOVERNED_NAME)
class Governed(GovernedWorkflow):
    @workflow.init
    def __init__(self, given: Commitment) -> None:
        super().__init__(GOVERNED_NAME, given)

    @workflow.run
    async def run(self, _given: Commitment) -> str:
        key = workflow.info().workflow_id.rpartition("/")[2]
        outcome = await self.carry_out(ACTION, key=key, draft=_payload(key))
        return outcome.reference if isinstance(outcome, Done) else repr(outcome)


@workflow.defn(name="bench-bare")
class Bare:
    @workflow.run
    async def run(self, _given: Commitment) -> str:
        key = workflow.info().workflow_id.rpartition("/")[2]
        payload = {**_payload(key), "idempotency_key": key}
        result: str = await workflow.execute_activity("bare-effect", payload, result_type=str, **EFFECT.kwargs())
        return result


def _payload(key: str) -> dict[str, Any]:
    return {"deal_id": key, "fields": {"stage": "signed"}}
