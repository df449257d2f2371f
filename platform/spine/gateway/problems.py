"""Errors as RFC 9457 problem bodies: one place, every error.

`type` is `urn:spine:problem:<code>` and stable; `detail` names the thing and the cure; a validation error lists its fields
in `errors`, without their values; what is quoted all the same is redacted. What is our own fault says so and nothing more: the log has
the rest, found by `trace_id`.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from spine.errors import NotYet, ProviderUnavailable, RateLimited, SpineError
from spine.redact import redact, redacted
from spine.telemetry import current_trace_id

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)
_LONGEST_PATH = 300  # characters of a path that are told: every path of ours is shorter, and a stranger's may be 64 KB
_OUR_FAULT = "something is wrong on our side, and it is on record; give the trace id to whoever runs this gateway"
_NO_OBJECT = ("model_attributes_type", "model_type", "dict_type")
CODES = {
    400: "invalid-input",
    404: "no-such-resource",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}


def problem(
    request: Request,
    *,
    code: str,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **extensions: Any,
) -> JSONResponse:
    content = body_of(request, code=code, status=status, detail=detail, **extensions)
    return JSONResponse(content, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def body_of(request: Request, *, code: str, status: int, detail: str, **extensions: Any) -> dict[str, Any]:
    body = {
        "type": f"urn:spine:problem:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": redact(detail),
        "instance": redact(_shown(request.url.path)),
        "trace_id": current_trace_id(),
        "correlation_id": request.scope.get("state", {}).get("correlation_id"),
        **redacted(extensions),
    }
    return {name: value for name, value in body.items() if value is not None}


def _shown(path: str) -> str:
    """The path, or its beginning by whole segments. What is cut may be a number in groups, so groups before the cut go too:
    half a number is not recognised as one."""
    if len(path) <= _LONGEST_PATH:
        return path
    segments = path[:_LONGEST_PATH].split("/")[:-1]
    while len(segments) > 1 and not any(character.isalpha() for character in segments[-1]):
        segments.pop()
    return "/".join([*segments, "…"])


def install(app: FastAPI) -> None:
    app.add_exception_handler(SpineError, _of_spine)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(psycopg.OperationalError, _of_database)
    app.add_exception_handler(psycopg.DataError, _of_data)


def of_bug(request: Request) -> JSONResponse:
    """The answer to what nobody foresaw. The caller logs it."""
    return problem(request, code="internal", status=500, detail=_OUR_FAULT)


def _of_spine(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SpineError), "registered for SpineError"
    if error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR:  # the installation is wrong; how is not the caller's business
        _log.error("%s %s: %s", request.method, request.url.path, error)
        return problem(request, code=error.code, status=500, detail=_OUR_FAULT)
    headers: dict[str, str] = {}
    extensions: dict[str, Any] = {}
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retryable:
        headers["Retry-After"] = "1"
    if isinstance(error, RateLimited):
        headers |= error.headers
    if isinstance(error, NotYet):
        extensions["not_before"] = error.not_before.isoformat()
    return problem(request, code=error.code, status=error.http_status, detail=str(error), headers=headers, **extensions)


def _of_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError), "registered for RequestValidationError"
    if shapeless := [one for one in error.errors() if one["type"] in _NO_OBJECT and one["loc"][0] == "body" and _is_whole(one, error.body)]:
        found = [{"field": "body", "reason": f"it is a JSON {_kind(shapeless[0]['input'])}, not an object"}]
    else:
        found = [{"field": _path(one["loc"]), "reason": _reason(one)} for one in error.errors()]
    if found and found[0]["reason"].startswith("JSON"):
        return problem(request, code="invalid-input", status=400, detail=f"the body is not JSON: {found[0]['reason']}")
    detail = "; ".join(f"{one['field']!r}: {one['reason']}" for one in found)
    return problem(request, code="schema-violation", status=422, detail=f"the request does not fit: {detail}", errors=found)


def why_unparsable(error: BaseException | None) -> str:
    """What is wrong with text that should have been JSON, and where; without the text itself."""
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} at character {error.pos}"
        case UnicodeDecodeError():
            return f"byte 0x{error.object[error.start]:02x} at position {error.start} is not UTF-8: send it as UTF-8"
        case RecursionError():
            return "it is nested too deeply: send a reference to the data instead"
        case ValueError():
            return "a number in it has thousands of digits: send such a value as a string"
    return "it could not be read"


def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException), "registered for HTTPException"
    code = CODES.get(error.status_code, "http-error")
    if error.status_code == HTTPStatus.BAD_REQUEST and error.__cause__ is not None:  # FastAPI could not parse the body, and hides why
        return problem(request, code=code, status=400, detail=f"the body is not JSON: {why_unparsable(error.__cause__)}")
    headers = dict(error.headers or {})
    allowed = ""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the framework names the methods of one route, and a path may have several
        allowed = headers["Allow"] = ", ".join(_methods_of(request)) or headers.get("Allow", "")
    detail = {
        404: f"there is nothing at {_shown(request.url.path)!r}: /docs shows what there is",
        405: f"{request.method} is not for {_shown(request.url.path)!r}" + (f": it takes {allowed}" if allowed else ""),
        413: "the body is larger than this gateway takes: send a reference to the data instead",
    }.get(error.status_code, str(error.detail))
    return problem(request, code=code, status=error.status_code, detail=detail, headers=headers)


def _methods_of(request: Request) -> list[str]:
    """What the path takes, over all routes: each is asked with each method."""
    routes = request.app.routes
    tried = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    return [name for name in tried if any(one.matches({**request.scope, "method": name})[0] is Match.FULL for one in routes)]


def _of_database(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s: the database: %s", request.method, request.url.path, error)
    return problem(
        request,
        code="database-unavailable",
        status=ProviderUnavailable.http_status,
        # A connection that is lost in the middle of a COMMIT leaves open which side of it the server died on.
        detail="the database does not answer, so it is not known whether anything was written: "
        "send the same request again, with the same Idempotency-Key if it has one, and it is done once",
        headers={"Retry-After": "2"},
    )


def _of_data(request: Request, error: Exception) -> JSONResponse:
    _log.warning("%s %s: the database refused a value: %s", request.method, request.url.path, type(error).__name__)
    detail = "a value cannot be stored: text with a NUL character, or a number beyond all bounds; nothing was written"
    return problem(request, code="invalid-input", status=422, detail=detail)


def _is_whole(found: Mapping[str, Any], body: object) -> bool:
    return found.get("input") is body


def _kind(value: object) -> str:
    if isinstance(value, bytes):
        return "document without the header `Content-Type: application/json`"
    return {list: "list", str: "text", bool: "truth value", int: "number", float: "number"}.get(type(value), "null")


def _path(location: Sequence[int | str]) -> str:
    steps = [str(step) for step in location if step not in ("cloudevent", "fact")]  # which form of an event, not a field of it
    return ".".join(steps[1:] if len(steps) > 1 and steps[0] == "body" else steps)


def _reason(found: Mapping[str, Any]) -> str:
    if found["type"] == "json_invalid":
        return f"JSON {found.get('ctx', {}).get('error', 'is broken')} at character {found['loc'][-1]}"
    if found["type"] == "extra_forbidden":
        return "there is no such field"
    message = str(found["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
