"""One decision of a person, whichever door it came through: taken in the request's transaction, then told to the workflow.

The HTTP route and the console both go this way. What differs is how they are asked and how they answer.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shared.events import Verdict
from spine.approvals import ApprovalState
from spine.errors import ApprovalRefused, NotAllowed
from spine.gateway.auth import Work
from spine.gateway.delivery import tell_workflow
from spine.gateway.services import Services
from spine.identity import Principal
from spine.intake import take_decision
from spine.intake.decisions import record_refusal
from spine.temporal import TemporalLoop
from spine.views import DecisionView


def decide(
    work: Work,
    approval_id: str,
    *,
    verdict: Verdict,
    reason: str | None = None,
    payload: Mapping[str, Any] | None = None,
    digest: str | None = None,
    part: str = "",
) -> DecisionView:
    """Decide once for the request's call id; `part` keeps several decisions of one request apart. Raises what `take_decision` raises."""
    decision_id = ":".join((work.tenant_id, work.principal.id, work.call_id, *([part] if part else [])))
    resolution = take_decision(
        work.conn,
        approval_id=approval_id,
        decision_id=decision_id,
        verdict=verdict,
        principal=work.principal,
        reason=reason,
        edited_payload=payload,
        digest=digest,
        policy=work.services.policy,
        registry=work.services.registry,
        clock=work.services.clock,
    )
    return DecisionView.of(resolution, decision_id)


@contextmanager
def refusals_kept(services: Services, who: Callable[[], Principal | None], approval_id: str, verdict: Verdict) -> Iterator[None]:
    """Around a whole request: a decision that is refused is put on record once its transaction is gone, and raised all the same."""
    try:
        yield
    except (NotAllowed, ApprovalRefused) as error:
        if (principal := who()) is not None:
            record_refusal(services.database, principal, approval_id, verdict, error, clock=services.clock)
        raise


def deliver(temporal: TemporalLoop | None, said: Mapping[str, Any]) -> bool | None:
    """Tell the waiting workflow what a `DecisionView` says, after the commit. True: it knows; False: its event will tell it; None: there
    is no news yet. A replay is told again: the first telling may be what failed."""
    if said["state"] == ApprovalState.PENDING:
        return None
    decision = {
        "approval_id": said["approval_id"],
        "intent_id": said["intent_id"],
        "resolution": said["state"],
        "successor_intent_id": said["successor"] and said["successor"]["intent_id"],
    }
    return tell_workflow(temporal, workflow_id=said["workflow_id"], decision_id=said["decision_id"], decision=decision)
