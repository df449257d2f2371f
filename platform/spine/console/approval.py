"""One request: what will happen, on what evidence, why people are asked; and the three answers to it."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from shared.events import Verdict
from spine import approvals
from spine.approvals import ApprovalState
from spine.console import plain, typed
from spine.console.asked import URGENCIES, asked_of
from spine.console.compare import changes
from spine.console.forms import FormRefused, Posted, Posting
from spine.console.labels import STATES
from spine.console.render import page, words_here
from spine.console.session import PageWork, Visiting, redirect, went_to
from spine.console.typed import Field
from spine.console.words import say
from spine.errors import Conflict, InvalidInput, NotFound, SpineError
from spine.gateway import deciding
from spine.gateway.idempotency import Answer
from spine.identity import Principal, Role
from spine.intake.misfits import misfits, model_of
from spine.intents import Intent
from spine.intents.rows import newest_revision
from spine.intents.store import read
from spine.views import approval_detail

router = APIRouter()

WHY_REJECT = say("Say why: whoever proposed it reads it, and so does the record.")
TOO_LONG = say("This is longer than 2000 characters: make it shorter. Nothing of it was lost.")
_LONGEST_REASON = 2000


class _Misfit(InvalidInput):
    """What was typed does not fit; the fields say where."""

    def __init__(self, fields: Sequence[Field], elsewhere: Sequence[str]) -> None:
        super().__init__("; ".join(elsewhere))
        self.fields = fields


@router.get("/approvals/{approval_id}")
def get_approval(approval_id: str, request: Request, visit: Visiting, done: Annotated[str, Query()] = "", told: str = "") -> Response:
    with visit.reading() as work:
        return _page(request, work, approval_id, done=done, told=told)


@router.post("/approvals/{approval_id}/decisions")
def post_decision(approval_id: str, request: Request, visit: Visiting, form: Posting) -> Response:
    """Decide as it was shown: the digest that was looked at goes with the form. What is refused comes back with all that was typed."""
    verdict, reason = _verdict(form), form.first("reason").strip()
    fields: list[Field] | None = None

    def decide(work: PageWork) -> Answer:
        nonlocal fields
        if len(reason) > _LONGEST_REASON:
            raise InvalidInput(f"the reason has {len(reason)} characters, and a record takes {_LONGEST_REASON}: shorten it")
        payload = None
        if verdict is Verdict.EDIT:
            asked = approvals.show(work.conn, work.tenant_id, approval_id).intent
            fields = typed.filled(_fields(work, asked), form)
            payload = _payload(work, asked, fields)
        said = deciding.decide(
            work, approval_id, verdict=verdict, reason=reason or None, payload=payload, digest=form.first("digest") or None
        )
        return went_to(f"/console/approvals/{approval_id}?done={verdict.value}", **said.model_dump(mode="json"))

    try:
        with deciding.refusals_kept(visit.services, lambda: _visitors_name(request), approval_id, verdict):
            answer = visit.once(Role.APPROVER, form, decide)
    except (InvalidInput, Conflict, FormRefused) as error:
        if isinstance(error, NotFound):
            raise
        with visit.reading() as work:
            return _page(request, work, approval_id, refused=error, tried=verdict, fields=fields, form=form, reason=reason)
    delivered = deciding.deliver(visit.services.temporal, answer.body)
    return redirect(answer.headers["Location"] + ("&told=later" if delivered is False else ""))


def _page(
    request: Request,
    work: PageWork,
    approval_id: str,
    *,
    done: str = "",
    told: str = "",
    refused: SpineError | None = None,
    tried: Verdict | None = None,
    fields: Sequence[Field] | None = None,
    form: Posted | None = None,
    reason: str = "",
) -> Response:
    words = words_here(request)
    approval = approvals.show(work.conn, work.tenant_id, approval_id)
    intent, whole = approval.intent, work.principal.role.covers(Role.OPERATOR)
    if isinstance(refused, _Misfit):
        fields = refused.fields
    elif fields is None and form is not None and tried is Verdict.EDIT:
        fields = typed.filled(_fields(work, intent), form)
    before = read(work.conn, work.tenant_id, intent.supersedes) if intent.supersedes else None
    mine = next((one for one in approval.decisions if one.decided_by == work.principal.id), None)
    return page(
        request,
        work.visitor,
        "approval.html",
        status=refused.http_status if refused else 200,
        asked=asked_of(work, words, [approval], verdicts=tuple(Verdict))[0],
        approval=approval,
        intent=intent,
        detail=approval_detail(work.conn, work.principal, approval_id, now=work.services.clock.now()),
        rule=work.services.policy.rule(intent.action),
        policy_now=work.services.policy.version,
        whole=whole,
        fields=fields or _fields(work, intent) if whole else [],
        typed_fields=fields,
        before=before,
        changes=changes(before.payload, intent.payload) if before and whole else [],
        successor=newest_revision(work.conn, intent) if approval.state is ApprovalState.EDITED else None,
        accounts=plain.Accounts.of(work.conn, work.tenant_id, [intent.payload]),
        plain=plain,
        urgencies=URGENCIES,
        states=STATES,
        mine=mine,
        done=done if mine and mine.verdict.value == done else "",
        told=told,
        refused=refused,
        tried=tried.value if tried else "",
        reason=reason,
        reason_problem=TOO_LONG
        if len(reason) > _LONGEST_REASON and tried is not Verdict.APPROVE
        else WHY_REJECT
        if tried is Verdict.REJECT and not reason
        else "",
        plain_fields=_fields(work, intent) if whole else [],
        is_pending=approval.state is ApprovalState.PENDING,
    )


def _verdict(form: Posted) -> Verdict:
    try:
        return Verdict(form.first("verdict"))
    except ValueError:
        raise InvalidInput(f"'verdict' {form.first('verdict')!r} is none of {', '.join(Verdict)}: open the page again") from None


def _fields(work: PageWork, intent: Intent) -> list[Field]:
    rule = work.services.policy.rule(intent.action)
    return typed.fields_of(intent.payload, fixed=rule.fixed, model=model_of(intent.action, work.services.registry))


def _payload(work: PageWork, intent: Intent, fields: Sequence[Field]) -> dict[str, Any]:
    """What was typed as a payload. Raises _Misfit with each problem at its field."""
    if any(field.problems for field in fields):
        raise _Misfit(fields, [])
    payload = typed.payload_of(intent.payload, fields)
    placed, elsewhere = typed.with_problems(fields, misfits(intent.action, payload, work.services.registry))
    if elsewhere or any(field.problems for field in placed):
        raise _Misfit(placed, elsewhere)
    return payload


def _visitors_name(request: Request) -> Principal | None:
    visitor = getattr(request.state, "visitor", None)
    return visitor.principal if visitor is not None else None
