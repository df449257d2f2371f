"""What nobody will try again by himself: the list, and one verdict on all of a kind."""

from collections.abc import Mapping
from typing import Annotated, Literal, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from spine import deadletters
from spine.audit import Actor
from spine.console.forms import Posting
from spine.console.listing import ROWS, given, named, one_of, show
from spine.console.session import PageWork, Visiting, redirect, went_to
from spine.console.words import say
from spine.deadletters import PLANES, Filter, Plane, State, circuits
from spine.deadletters.bulk import MOST as MOST_AT_ONCE
from spine.errors import InvalidInput
from spine.gateway.idempotency import Answer
from spine.identity import Role

router = APIRouter()

STATES: tuple[State, ...] = get_args(State)
ANY = "any"
WHY_NEEDED = say("Say why, for whoever reads this later.")

Verdict = Literal["retry", "discard"]
_NEEDED: Mapping[Verdict, Role] = {"retry": Role.OPERATOR, "discard": Role.APPROVER}


@router.get("/dead-letters")
def get_dead_letters(
    request: Request,
    visit: Visiting,
    state: Annotated[str, Query()] = "",
    plane: Annotated[str, Query()] = "",
    consumer: Annotated[str, Query(max_length=300)] = "",
    code: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Those that wait for a person, the oldest first; `state=any` shows also what was decided."""
    wanted = filter_of(state=state, plane=plane, consumer=consumer, code=code)
    with visit.reading() as work:
        found = deadletters.listing(
            work.conn,
            tenant_id=work.tenant_id,
            state=wanted.state,
            plane=wanted.plane,
            consumer=wanted.consumer,
            error_code=wanted.error_code,
            cursor=given(cursor),
            limit=ROWS,
        )
        matched = deadletters.count(work.conn, tenant_id=work.tenant_id, filter=wanted)
        open_circuits = [one for one in circuits.listing(work.conn, tenant_id=work.tenant_id) if one.state != "closed"]
    return show(
        request,
        work.visitor,
        "dead_letters.html",
        found=found,
        matched=matched,
        circuits=open_circuits,
        filters=address_of(wanted),
        states=STATES,
        planes=PLANES,
        may_sweep=wanted.state == "open" and bool(wanted.named().keys() - {"state"}) and matched > 0,
        done=done_before(request),
    )


def filter_of(*, state: str, plane: str, consumer: str, code: str) -> Filter:
    """Without a state, those that are open. Raises InvalidInput for a state or a plane that there is not."""
    asked = given(state)
    return Filter(
        state=None if asked == ANY else cast(State, one_of(STATES, asked, "state") or "open"),
        plane=cast(Plane | None, one_of(PLANES, plane, "plane")),
        consumer=given(consumer),
        error_code=given(code),
    )


def address_of(wanted: Filter) -> Mapping[str, str]:
    """The filter as it stands in the page's address; what goes without saying is not said."""
    state = ANY if wanted.state is None else None if wanted.state == "open" else wanted.state
    return named(state=state, plane=wanted.plane, consumer=wanted.consumer, code=wanted.error_code)


@router.get("/dead-letters/all")
def get_all_of_a_kind(
    request: Request,
    visit: Visiting,
    verdict: Annotated[Verdict, Query()],
    plane: Annotated[str, Query()] = "",
    consumer: Annotated[str, Query(max_length=300)] = "",
    code: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """How many it would be, before anything is done about them."""
    return _counted(request, visit, verdict, filter_of(state="", plane=plane, consumer=consumer, code=code))


@router.post("/dead-letters/all")
def post_all_of_a_kind(request: Request, visit: Visiting, form: Posting) -> Response:
    """One verdict on all that were counted. Refused when there are more by now."""
    verdict = cast(Verdict, one_of(_NEEDED, form.first("verdict"), "verdict") or "retry")
    wanted = filter_of(state="", plane=form.first("plane"), consumer=form.first("consumer"), code=form.first("code"))
    reason = form.first("reason").strip()
    if not reason:
        return _counted(request, visit, verdict, wanted, wrong=WHY_NEEDED, status=422)

    def decide(work: PageWork) -> Answer:
        done = deadletters.bulk(
            work.conn,
            tenant_id=work.tenant_id,
            filter=wanted,
            verdict=verdict,
            reason=reason,
            actor=Actor(work.principal.actor_type, work.principal.id),
            now=work.services.clock.now(),
            expected=_number(form.first("expected")),
        )
        told = urlencode({"done": verdict, "count": len(done.done), "refused": len(done.refused)})
        return went_to(f"/console/dead-letters?{told}")

    return redirect(visit.once(_NEEDED[verdict], form, decide))


@router.post("/dead-letters/circuit")
def post_circuit(visit: Visiting, form: Posting) -> Response:
    """The cause is mended: what waits behind it need not wait for the next probe. Takes an operator."""

    def reset(work: PageWork) -> Answer:
        plane = cast(Plane, one_of(PLANES, form.first("plane"), "plane") or "event")
        circuits.reset(
            work.conn,
            cause=circuits.Cause(tenant_id=work.tenant_id, plane=plane, consumer=form.first("consumer"), error_code=form.first("code")),
            actor=Actor(work.principal.actor_type, work.principal.id),
            reason=form.first("reason").strip() or "the cause is mended",
            now=work.services.clock.now(),
        )
        return went_to("/console/dead-letters?done=circuit")

    return redirect(visit.once(Role.OPERATOR, form, reset))


def _counted(request: Request, visit: Visiting, verdict: Verdict, wanted: Filter, *, wrong: str = "", status: int = 200) -> Response:
    with visit.reading(_NEEDED[verdict]) as work:
        actor = Actor(work.principal.actor_type, work.principal.id)
        # A dry run: it counts, and refuses a filter that names nothing.
        counted = deadletters.bulk(
            work.conn, tenant_id=work.tenant_id, filter=wanted, verdict=verdict, reason="", actor=actor, now=work.services.clock.now()
        )
    return show(
        request,
        work.visitor,
        "dead_letters_all.html",
        status=status,
        verdict=verdict,
        filters=address_of(wanted),
        matched=counted.matched,
        most=MOST_AT_ONCE,
        wrong=wrong,
    )


def done_before(request: Request) -> Mapping[str, str]:
    """What the action before this page did, as its address says."""
    asked = request.query_params if request.method == "GET" else {}
    return {name: str(asked.get(name, "")) for name in ("done", "count", "refused")}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput(f"'expected' {text!r} is no count: open the page again and send it from there")
    return int(text)
