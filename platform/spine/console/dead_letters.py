"""What nobody will try again by himself: looked at, tried again, mended, given up. One by one, or all of a kind."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, assert_never, cast, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from spine import deadletters
from spine.audit import Actor
from spine.console.forms import Posted, Posting
from spine.console.listing import ROWS, given, named, one_of, show
from spine.console.render import words_here
from spine.console.session import PageWork, Visiting, redirect, went_to
from spine.console.words import say
from spine.deadletters import PLANES, DeadLetter, Filter, Plane, State, circuits
from spine.deadletters.bulk import MOST as MOST_AT_ONCE
from spine.errors import InvalidInput, NotFound
from spine.gateway.idempotency import Answer
from spine.identity import Role

router = APIRouter()

STATES: tuple[State, ...] = get_args(State)
ANY = "any"
EDITABLE: Mapping[str, str] = {
    "event": say("What the event says. Whom it is about, and which flow it belongs to, stay as they are."),
    "webhook": say("The provider's report, as it should have been."),
}
"""The planes whose letters hold their input, and what of it may be changed."""

AGAIN = "tried again by hand"
_WHY_NEEDED = say("Say why, for whoever reads this later.")
_NOT_JSON = say("This is not JSON: %(why)s.")
_NOT_OBJECT = say("This is JSON, but not an object: it begins with { and ends with }.")

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
        done=_done(request),
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
        return _counted(request, visit, verdict, wanted, wrong=_WHY_NEEDED, status=422)

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


@router.get("/dead-letters/{dead_letter_id}")
def get_dead_letter(request: Request, visit: Visiting, dead_letter_id: str) -> Response:
    return _shown(request, visit, dead_letter_id)


@router.post("/dead-letters/{dead_letter_id}/{verdict}")
def post_verdict(
    request: Request, visit: Visiting, form: Posting, dead_letter_id: str, verdict: Literal["retry", "edit", "discard"]
) -> Response:
    """Try it again, as it is or mended, or give it up. What does not fit is said on the page, with everything as it was typed."""
    reason = form.first("reason").strip() or (AGAIN if verdict == "retry" else "")
    if not reason:
        return _shown(request, visit, dead_letter_id, form=form, wrong={verdict: words_here(request).of(_WHY_NEEDED)}, status=422)

    def decide(work: PageWork) -> Answer:
        which = _id(dead_letter_id)
        given_to_all: dict[str, Any] = {
            "tenant_id": work.tenant_id,
            "dead_letter_id": which,
            "actor": Actor(work.principal.actor_type, work.principal.id),
            "reason": reason,
            "now": work.services.clock.now(),
        }
        match verdict:
            case "retry":
                deadletters.retry(work.conn, **given_to_all)
            case "edit":
                letter = deadletters.show(work.conn, tenant_id=work.tenant_id, dead_letter_id=which)
                deadletters.edit_and_retry(work.conn, body=_mended(letter, form.first("body")), **given_to_all)
            case "discard":
                deadletters.discard(work.conn, **given_to_all)
            case other:
                assert_never(other)
        return went_to(f"/console/dead-letters/{dead_letter_id}?done={verdict}")

    try:
        return redirect(visit.once(Role.OPERATOR if verdict == "retry" else Role.APPROVER, form, decide))
    except InvalidInput as error:  # also what breaks the event's schema; nothing was written, and nothing typed is lost
        said = words_here(request).of(error.text, why=error.why) if isinstance(error, NotJson) else str(error)
        return _shown(request, visit, dead_letter_id, form=form, wrong={verdict: said}, status=422)


class NotJson(InvalidInput):
    """`text` is for the page's language, `why` for its place holder."""

    def __init__(self, text: str, why: str = "") -> None:
        super().__init__(text)
        self.text, self.why = text, why


def editable(letter: DeadLetter) -> str | None:
    """The part of a letter that may be changed, as JSON that people read; None for planes that hold no input."""
    if letter.plane not in EDITABLE:
        return None
    part = letter.body.get("data", {}) if letter.plane == "event" else letter.body
    return json.dumps(part, indent=2, ensure_ascii=False)


def _mended(letter: DeadLetter, text: str) -> dict[str, Any]:
    """The whole body, with what was typed in its place. Raises NotJson."""
    try:
        typed = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise NotJson(_NOT_JSON, f"{error.msg}, line {error.lineno}, column {error.colno}") from error
    except NotJson:
        raise
    except ValueError as error:  # thousands of digits: Python does not read them, and no record holds them
        raise NotJson(_NOT_JSON, "a number has too many digits") from error
    except RecursionError as error:
        raise NotJson(_NOT_JSON, "nested too deeply") from error
    if not isinstance(typed, dict):
        raise NotJson(_NOT_OBJECT)
    return {**letter.body, "data": typed} if letter.plane == "event" else typed


def _no_number(name: str) -> None:
    """For NaN and the infinities, which Python reads and JSON does not have. Raises NotJson."""
    raise NotJson(_NOT_JSON, f"{name} is no number")


def _shown(
    request: Request,
    visit: Visiting,
    dead_letter_id: str,
    *,
    form: Posted | None = None,
    wrong: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    with visit.reading() as work:
        letter = deadletters.show(work.conn, tenant_id=work.tenant_id, dead_letter_id=_id(dead_letter_id))
        whole = work.principal.role.covers(Role.OPERATOR)
    return show(
        request,
        work.visitor,
        "dead_letter.html",
        status=status,
        letter=letter,
        body=dict(letter.body) if whole else None,
        part=editable(letter) if whole else None,
        about_part=EDITABLE.get(letter.plane, ""),
        typed={name: form.first(name) if form else "" for name in ("reason", "body")},
        wrong={**dict.fromkeys(("retry", "edit", "discard"), ""), **(wrong or {})},
        again=AGAIN,
        done=_done(request),
    )


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


def _done(request: Request) -> Mapping[str, str]:
    """What the action before this page did, as its address says."""
    asked = request.query_params if request.method == "GET" else {}
    return {name: str(asked.get(name, "")) for name in ("done", "count", "refused")}


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"no dead letter {text!r}: the list shows those there are") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput(f"'expected' {text!r} is no count: open the page again and send it from there")
    return int(text)
