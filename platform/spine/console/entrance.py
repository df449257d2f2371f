"""In and out: log in with an API key or through the company's identity provider, log out; language and theme."""

import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from shared.events import ActorType, Severity
from spine import audit
from spine.audit import Actor
from spine.console.forms import Posting, check_csrf, local
from spine.console.render import THEME_COOKIE, THEMES, page
from spine.console.session import COOKIE as SESSION_COOKIE
from spine.console.session import Visiting, close_session, forget, is_secure, keep, open_session, redirect, split, visitor_of
from spine.console.words import COOKIE as LANGUAGE_COOKIE
from spine.console.words import LANGUAGES, say
from spine.errors import NotAuthenticated
from spine.gateway.auth import services_of
from spine.gateway.services import Services
from spine.identity import principal_of, tenant_of
from spine.identity.login import is_offered

router = APIRouter()
_log = logging.getLogger(__name__)

_ATTEMPTS = RateLimitItemPerMinute(10, 10)  # failures in ten minutes from one address: mistyping is rare, guessing is not
_YEAR = 365 * 24 * 3600
REFUSED = say("This key is unknown, revoked or mistyped.")
TOO_MANY = say("Too many attempts from here. Wait ten minutes, then try again.")
ROBOT = say("This key belongs to a program. People log in with their own.")


class Attempts:
    """Failed logins of late, by address. Kept in this process: with several gateways the limit holds for each."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def exhausted(self, address: str) -> bool:
        return not self._limiter.test(_ATTEMPTS, address)

    def failed(self, address: str) -> None:
        self._limiter.hit(_ATTEMPTS, address)


@router.get("/login")
def getlogin_page(request: Request, next: Annotated[str, Query()] = "") -> Response:  # noqa: A002 - the parameter's public name
    return login_page(request, after=local(next))


@router.post("/login")
def postlogin_page(request: Request, visit: Visiting, form: Posting) -> Response:
    """Open a session for whoever presents a key that holds. What fails says the same whatever was wrong."""
    after, attempts, address = local(form.first("next")), _attempts(request), _address(request)
    if attempts.exhausted(address):
        return login_page(request, after=after, problem=TOO_MANY, status=429)
    presented = form.first("key").strip()
    try:
        tenant_id = tenant_of(presented)
        with visit.services.database.tenant(tenant_id) as conn:
            principal = principal_of(conn, presented)
            if principal.actor_type is not ActorType.HUMAN:
                return login_page(request, after=after, problem=ROBOT, status=403)
            key_id = _key_id(presented)
            cookie = open_session(conn, principal, key_id=key_id)
            audit.record(
                conn,
                tenant_id=tenant_id,
                actor=Actor(principal.actor_type, principal.id),
                action="console.logged_in",
                subject_type="api_key",
                subject_id=key_id,
                now=visit.services.clock.now(),
            )
    except NotAuthenticated:
        attempts.failed(address)
        _on_record(visit.services, presented)
        return login_page(request, after=after, problem=REFUSED, status=401)
    response = redirect(after)
    keep(response, request, cookie)
    return response


@router.post("/logout")
def post_logout(request: Request, visit: Visiting, form: Posting) -> Response:
    """End this session, here and in the database. Without one there is nothing to end."""
    response = redirect("/console/login?out=1")
    try:
        tenant_id, token = split(request.cookies.get(SESSION_COOKIE))
        with visit.services.database.tenant(tenant_id) as conn:
            visitor = visitor_of(conn, tenant_id, token)
            check_csrf(form, visitor.csrf)
            close_session(conn, tenant_id, token)
            audit.record(
                conn,
                tenant_id=tenant_id,
                actor=Actor(visitor.principal.actor_type, visitor.principal.id),
                action="console.logged_out",
                subject_type="principal",
                subject_id=visitor.principal.id,
                now=visit.services.clock.now(),
            )
    except NotAuthenticated:
        _log.info("a logout without a session")
    forget(response, request)
    return response


@router.post("/preferences")
def post_preferences(request: Request, form: Posting) -> Response:
    """Language and theme, for this browser; they are nobody's secret and need no session."""
    response = redirect(local(form.first("next")))
    for name, cookie, known in (("language", LANGUAGE_COOKIE, tuple(LANGUAGES)), ("theme", THEME_COOKIE, THEMES)):
        if form.first(name) in known:
            response.set_cookie(
                cookie, form.first(name), max_age=_YEAR, path="/console", httponly=True, samesite="lax", secure=is_secure(request)
            )
    return response


def login_page(request: Request, *, after: str, problem: str = "", status: int = 200) -> Response:
    """The form, with what went wrong; the provider's button where one is configured."""
    left = request.method == "GET" and request.query_params.get("out") == "1"
    return page(
        request,
        None,
        "login.html",
        status=status,
        after=after,
        problem=problem,
        left=left,
        provider=is_offered(services_of(request).settings),
    )


def _on_record(services: Services, presented: str) -> None:
    """A wrong secret for a key that exists is somebody's business; guesses at nothing would only fill the log."""
    try:
        tenant_id, key_id = tenant_of(presented), _key_id(presented)
    except NotAuthenticated:
        return
    with services.database.tenant(tenant_id) as conn:
        if conn.execute("select from api_keys where tenant_id = %s and key_id = %s", (tenant_id, key_id)).fetchone() is None:
            return
        audit.record(
            conn,
            tenant_id=tenant_id,
            actor=Actor(ActorType.HUMAN, "unknown"),
            action="console.login_refused",
            subject_type="api_key",
            subject_id=key_id,
            now=services.clock.now(),
            severity=Severity.V1,
        )


def _key_id(presented: str) -> str:
    return presented.rsplit(".", 2)[1]


def _attempts(request: Request) -> Attempts:
    found: Attempts = request.app.state.attempts
    return found


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
