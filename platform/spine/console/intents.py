"""What anybody wanted done to the outside world, and what became of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from spine import approvals, audit, intents
from spine.audit import Actor, Row
from spine.console import plain
from spine.console.forms import Posted, Posting
from spine.console.listing import ROWS, choice, given, named, one_of, show
from spine.console.session import PageWork, Visiting, redirect, went_to
from spine.console.words import say
from spine.effects.declare import declare_outcome
from spine.effects.line import line_of
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.intents import MOVES, Intent, IntentState
from spine.intents.rows import revisions
from spine.journey import workflow_url

router = APIRouter()

OUTCOMES = ("completed", "failed")
_HISTORY = 200
_WHY_NEEDED = say("Say why, for whoever reads this later.")


@router.get("/intents")
def get_intents(
    request: Request,
    visit: Visiting,
    state: Annotated[str, Query()] = "",
    automation: Annotated[str, Query(max_length=200)] = "",
    correlation: Annotated[str, Query(max_length=300)] = "",
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """The newest first, without payloads."""
    wanted = {"state": choice(IntentState, state, "state"), "automation": given(automation), "correlation_id": given(correlation)}
    with visit.reading() as work:
        found = intents.listing(work.conn, tenant_id=work.tenant_id, cursor=given(cursor), limit=ROWS, **wanted)  # type: ignore[arg-type]
    return show(
        request,
        work.visitor,
        "intents.html",
        found=found,
        filters=named(state=wanted["state"], automation=wanted["automation"], correlation=wanted["correlation_id"]),
        automations=sorted({*visit.services.registry.automations, *([wanted["automation"]] if wanted["automation"] else [])}),
        states=[state.value for state in IntentState],
    )


@router.get("/intents/{intent_id}")
def get_intent(request: Request, visit: Visiting, intent_id: str) -> Response:
    return _shown(request, visit, intent_id)


@router.post("/intents/{intent_id}/cancel")
def post_cancel(request: Request, visit: Visiting, form: Posting, intent_id: str) -> Response:
    """Withdraw what has not begun. Takes an operator, and a reason."""
    reason = form.first("reason").strip()
    if not reason:
        return _shown(request, visit, intent_id, status=422, wrong={"cancel": _WHY_NEEDED})

    def cancel(work: PageWork) -> Answer:
        actor = Actor(work.principal.actor_type, work.principal.id)
        intents.cancel(work.conn, tenant_id=work.tenant_id, intent_id=intent_id, actor=actor, reason=reason, clock=work.services.clock)
        return went_to(f"/console/intents/{intent_id}?done=cancelled")

    return redirect(visit.once(Role.OPERATOR, form, cancel))


@router.post("/intents/{intent_id}/outcome")
def post_outcome(request: Request, visit: Visiting, form: Posting, intent_id: str) -> Response:
    """Say what became of an effect that nobody can ask about. Takes an admin, a reason, and the provider's reference if it happened."""
    outcome = one_of(OUTCOMES, form.first("outcome"), "outcome")
    reason, reference = form.first("reason").strip(), form.first("reference").strip()
    wrong = {
        name: text
        for name, is_missing, text in (
            ("outcome", outcome is None, say("Say which of the two it was.")),
            ("reference", outcome == "completed" and not reference, say("What happened has a reference at the provider: give it.")),
            ("reason", not reason, say("Say where you looked, and what you found.")),
        )
        if is_missing
    }
    if wrong:
        return _shown(request, visit, intent_id, status=422, wrong=wrong, form=form)

    def declare(work: PageWork) -> Answer:
        declare_outcome(
            work.conn,
            tenant_id=work.tenant_id,
            intent_id=intent_id,
            outcome=cast(Literal["completed", "failed"], outcome),
            reason=reason,
            reference=reference or None,
            actor=Actor(work.principal.actor_type, work.principal.id),
            clock=work.services.clock,
        )
        return went_to(f"/console/intents/{intent_id}?done=settled")

    return redirect(visit.once(Role.ADMIN, form, declare))


def _shown(
    request: Request,
    visit: Visiting,
    intent_id: str,
    *,
    status: int = 200,
    wrong: Mapping[str, str] | None = None,
    form: Posted | None = None,
) -> Response:
    with visit.reading() as work:
        intent = intents.read(work.conn, work.tenant_id, intent_id)
        whole = work.principal.role.covers(Role.OPERATOR)
        context = _context(work, intent, whole=whole)
    return show(
        request,
        work.visitor,
        "intent.html",
        status=status,
        intent=intent,
        plain=plain,
        whole=whole,
        wrong={**dict.fromkeys(("cancel", "outcome", "reference", "reason"), ""), **(wrong or {})},
        typed={name: form.first(name) if form else "" for name in ("outcome", "reference", "reason")},
        done=request.query_params.get("done", "") if request.method == "GET" else "",
        workflow=workflow_url(visit.services.settings, intent.workflow_id),
        may_cancel=work.visitor.may("operator") and IntentState.CANCELLED in MOVES[intent.state],
        may_declare=work.visitor.may("admin") and intent.state is IntentState.UNKNOWN,
        **context,
    )


def _context(work: PageWork, intent: Intent, *, whole: bool) -> dict[str, Any]:
    of_key = revisions(work.conn, work.tenant_id, intent.automation, intent.key)
    mine = next(row for row in of_key if str(row["intent_id"]) == intent.intent_id)
    approval_id = mine["approval_id"]
    return {
        "revisions": of_key,
        "approval": None if approval_id is None else approvals.show(work.conn, work.tenant_id, str(approval_id)),
        "line": line_of(work.conn, work.tenant_id, intent.intent_id),
        "rule": work.services.policy.rule(intent.action),
        "history": _history(work, intent, None if approval_id is None else str(approval_id)),
        "payload": intent.payload if whole else None,
        "evidence": intent.evidence.model_dump(mode="json") if whole and intent.evidence is not None else None,
    }


def _history(work: PageWork, intent: Intent, approval_id: str | None) -> list[Row]:
    rows = [
        row
        for subject in (intent.intent_id, approval_id)
        if subject is not None
        for row in audit.rows(work.conn, tenant_id=work.tenant_id, subject_id=subject, limit=_HISTORY)
    ]
    return sorted(rows, key=lambda row: row.position)
