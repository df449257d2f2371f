"""What waits for people, by urgency; and approving several that are alike."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from shared.events import Verdict
from spine import approvals
from spine.approvals import Approval
from spine.approvals.standing import kinds, standing
from spine.console.asked import URGENCIES, Asked, asked_of, may_go_in_bulk
from spine.console.forms import Posting
from spine.console.render import page, words_here
from spine.console.session import PageWork, Visiting, redirect
from spine.console.words import Words
from spine.errors import ApprovalRefused, InvalidInput, NotAllowed, NotFound, SpineError
from spine.gateway import deciding
from spine.gateway.bodies import Strict
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.intake.decisions import note_refusal
from spine.paging import Page

router = APIRouter()

PAGE = 30
_MOST = 50  # decisions of one click: as many as somebody can have looked at
_PAGES_TO_SEARCH = 5  # of those that are not for me, before the reader is asked to go on


class InboxQuery(Strict):
    action: str = ""
    automation: str = ""
    mine: str = Field(default="", pattern="^(|yes)$")
    cursor: str = ""

    @property
    def narrowed(self) -> dict[str, str]:
        return {name: value for name, value in self.model_dump(exclude={"cursor"}).items() if value}


@router.get("/")
def get_inbox(request: Request, visit: Visiting, query: Annotated[InboxQuery, Query()]) -> Response:
    """The most urgent first. `mine` leaves out what this person cannot decide: they asked for it, or have signed already."""
    words = words_here(request)
    with visit.reading() as work:
        shown = _found(work, words, query)
        actions, automations = kinds(work.conn, tenant_id=work.tenant_id)
        return page(
            request,
            work.visitor,
            "inbox.html",
            rows=shown.items,
            next=shown.next,
            query=query,
            actions=actions,
            automations=automations,
            standing=standing(work.conn, tenant_id=work.tenant_id, now=work.services.clock.now()),
            urgencies=URGENCIES,
            bulk={row.approval.intent.action for row in shown.items if row.in_bulk},
        )


@router.get("/approvals")
@router.get("/approvals/decisions")
def get_approvals() -> Response:
    """The inbox is the list of them: for who types the address, or reloads what several decisions led to."""
    return redirect("/console/")


@router.post("/approvals/decisions")
def post_decisions(request: Request, visit: Visiting, form: Posting) -> Response:
    """Approve each that was marked, with an outcome of its own. Raises InvalidInput when they may not be approved together."""
    picked = [_picked(one) for one in dict.fromkeys(form.every("pick"))]

    def decide(work: PageWork) -> Answer:
        _refuse_unless_alike(work, [approval_id for approval_id, _ in picked])
        return Answer(status=200, body={"outcomes": [_decided(work, *one) for one in picked]})

    answer = visit.once(Role.APPROVER, form, decide)
    for outcome in answer.body["outcomes"]:
        if outcome["said"] is not None:
            deciding.deliver(visit.services.temporal, outcome["said"])
    words = words_here(request)
    with visit.reading() as work:
        found = [approvals.show(work.conn, work.tenant_id, outcome["approval_id"]) for outcome in answer.body["outcomes"]]
        told = list(zip(asked_of(work, words, found), answer.body["outcomes"], strict=True))
        return page(request, work.visitor, "decided.html", told=told)


def _found(work: PageWork, words: Words, query: InboxQuery) -> Page[Asked]:
    cursor: str | None = query.cursor or None
    rows: list[Asked] = []
    for _ in range(_PAGES_TO_SEARCH if query.mine else 1):
        listed: Page[Approval] = approvals.listing(
            work.conn,
            tenant_id=work.tenant_id,
            action=query.action or None,
            automation=query.automation or None,
            cursor=cursor,
            limit=PAGE,
        )
        seen = asked_of(work, words, listed.items)
        rows += [row for row in seen if row.is_mine] if query.mine else seen
        cursor = listed.next
        if rows or cursor is None:
            break
    return Page(tuple(rows), cursor)


def _picked(value: str) -> tuple[str, str]:
    """`approval_id digest`: what was looked at goes with what was marked."""
    approval_id, _, digest = value.partition(" ")
    return approval_id, digest


def _refuse_unless_alike(work: PageWork, ids: list[str]) -> None:
    if not ids:
        raise InvalidInput("nothing is marked: mark what you want to approve, then approve it")
    if len(ids) > _MOST:
        raise InvalidInput(f"{len(ids)} are marked; at most {_MOST} are approved at once")
    found = [approvals.show(work.conn, work.tenant_id, one) for one in ids]
    if len(actions := {one.intent.action for one in found}) > 1:
        raise InvalidInput(f"{', '.join(map(repr, sorted(actions)))} are different actions: only requests for the same one go together")
    rule = work.services.policy.rule(found[0].intent.action)
    for one in found:
        if not may_go_in_bulk(one, rule):
            classes = f"{one.intent.approval_class.value}, {one.intent.reversibility_class.value}"
            raise InvalidInput(f"{one.intent.action!r} ({classes}) is approved one at a time: open it, read it and decide")


def _decided(work: PageWork, approval_id: str, digest: str) -> dict[str, object]:
    """One of several, in a savepoint: what is refused leaves nothing, and the others stand."""
    try:
        with work.conn.transaction():
            said = deciding.decide(work, approval_id, verdict=Verdict.APPROVE, digest=digest, part=approval_id)
    except NotFound:
        raise
    except SpineError as error:
        if isinstance(error, NotAllowed | ApprovalRefused):
            note_refusal(work.conn, work.principal, approval_id, Verdict.APPROVE, error, clock=work.services.clock)
        return {"approval_id": approval_id, "said": None, "refused": str(error)}
    return {"approval_id": approval_id, "said": said.model_dump(mode="json"), "refused": ""}
