"""One thing that nobody will try again by himself: what it is, and what a person says of it. Tried again, mended, given up."""

import json
from collections.abc import Mapping
from typing import Any, Literal, assert_never
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spine import deadletters
from spine.audit import Actor
from spine.console.dead_letters import WHY_NEEDED, done_before
from spine.console.forms import Posted, Posting
from spine.console.listing import show
from spine.console.render import words_here
from spine.console.session import PageWork, Visiting, redirect, went_to
from spine.console.words import say
from spine.deadletters import DeadLetter
from spine.errors import InvalidInput, NotFound
from spine.gateway.idempotency import Answer
from spine.identity import Role

router = APIRouter()

EDITABLE: Mapping[str, str] = {
    "event": say("What the event says. Whom it is about, and which flow it belongs to, stay as they are."),
    "webhook": say("The provider's report, as it should have been."),
}
"""The planes whose letters hold their input, and what of it may be changed."""

AGAIN = "tried again by hand"
_NOT_JSON = say("This is not JSON: %(why)s.")
_NOT_OBJECT = say("This is JSON, but not an object: it begins with { and ends with }.")


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
        return _shown(request, visit, dead_letter_id, form=form, wrong={verdict: words_here(request).of(WHY_NEEDED)}, status=422)

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
        done=done_before(request),
    )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"no dead letter {text!r}: the list shows those there are") from None
