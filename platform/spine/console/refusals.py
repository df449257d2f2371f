"""Errors as pages: what is wrong in plain words, the spine's own sentence with the cure, and a way on."""

import logging
from collections.abc import Mapping
from urllib.parse import quote

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from spine.console import plain
from spine.console.forms import Posted
from spine.console.render import page, page_behind, words_here
from spine.console.session import Visitor, forget, redirect, visitor_here
from spine.console.words import say
from spine.errors import NotAuthenticated, SpineError
from spine.telemetry import current_trace_id

_log = logging.getLogger(__name__)

# code → what happened, what to do now.
_TOLD: Mapping[str, tuple[str, str]] = {
    "not-found": (say("There is no such thing here"), say("It may be another company's, or the address is mistyped.")),
    "not-allowed": (say("You may not do this"), say("Nothing was changed. Somebody with the right role can do it.")),
    "invalid-input": (say("That did not fit"), say("Nothing was changed. Go back, correct it and send it again.")),
    "schema-violation": (say("That did not fit"), say("Nothing was changed. Go back, correct it and send it again.")),
    "conflict": (say("It is not possible now"), say("The state of things has changed. Open the page again to see how it stands.")),
    "approval-refused": (say("This decision was not taken"), say("Open the request again to see how it stands now.")),
    "idempotency-conflict": (
        say("This form was sent already"),
        say("With other words than now. The first one counts: open the page again to see what it did."),
    ),
    "call-in-progress": (say("One moment"), say("The same form is being worked on. Open the page again to see what it did.")),
    "not-authenticated": (say("Your session has ended"), say("Nothing was sent. Log in, go back to the page and send it again.")),
    "database-unavailable": (say("The database does not answer"), say("Try again in a moment: a form that arrives twice is done once.")),
    "too-many-requests": (say("Too many attempts"), say("Wait a few minutes, then try again.")),
    "internal": (say("Something is wrong on our side"), say("It is on record. Tell whoever runs this the trace id below.")),
}
_OTHERWISE = (say("It is not possible now"), say("Nothing was changed. Open the page again to see how it stands."))


def install(app: FastAPI) -> None:
    app.add_exception_handler(SpineError, _of_spine)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(psycopg.OperationalError, _of_database)
    app.add_exception_handler(psycopg.DataError, _of_data)


def refusal(request: Request, code: str, status: int, detail: str = "") -> Response:
    """The page of an error. `detail` is the spine's own sentence, in English; it names the thing and the cure.

    What was typed into the form that is refused stands on the page: pages are kept by no cache, so going back would show it empty.
    """
    title, cure = _TOLD.get(code, _OTHERWISE)
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    posted: Posted | None = getattr(request.state, "posted", None)
    words = words_here(request)
    return page(
        request,
        visitor,
        "refusal.html",
        status=status,
        title=title,
        cure=cure,
        detail=detail,
        code=code,
        trace_id=current_trace_id(),
        kept=[(plain.field_name(words, tuple(name.split("."))), text) for name, text in posted.by_hand()] if posted else [],
    )


def of_bug(request: Request) -> Response:
    return refusal(request, "internal", 500)


def _of_spine(request: Request, error: Exception) -> Response:
    assert isinstance(error, SpineError), "registered for SpineError"
    if isinstance(error, NotAuthenticated) and request.method in ("GET", "HEAD"):
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        response = redirect(f"/console/login?next={quote(asked, safe='')}")
        forget(response, request)
        return response
    if error.http_status >= 500:
        _log.error("%s %s: %s: %s", request.method, request.url.path, error.code, error)
        return refusal(request, error.code if error.code in _TOLD else "internal", error.http_status)
    return refusal(request, error.code, error.http_status, str(error))


def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for RequestValidationError"
    found = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))!r}: {one['msg']}" for one in error.errors())
    return refusal(request, "invalid-input", 422, found)


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for HTTPException"
    if error.status_code == 404:
        request.state.visitor = visitor_here(request)
        return refusal(request, "not-found", 404, f"there is no page at {request.url.path!r}")
    if error.status_code == 405 and request.method in ("GET", "HEAD"):  # a form's address, from the address bar or after logging in
        return redirect(page_behind(request.url.path))
    if error.status_code == 413:
        return refusal(request, "invalid-input", 413, "the form is larger than this gateway takes")
    return refusal(request, "invalid-input", error.status_code, str(error.detail))


def _of_database(request: Request, error: Exception) -> Response:
    _log.error("%s %s: the database: %s", request.method, request.url.path, error)
    return refusal(request, "database-unavailable", 503)


def _of_data(request: Request, error: Exception) -> Response:
    _log.warning("%s %s: the database refused a value: %s", request.method, request.url.path, type(error).__name__)
    return refusal(request, "invalid-input", 422, "a value cannot be stored: text with a NUL character, or a number beyond all bounds")
