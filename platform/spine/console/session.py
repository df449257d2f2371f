"""Sessions of the console: who is logged in, proved anew on each request.

The cookie reads `<tenant>.<token>`: the tenant chooses the wall, as in an API key, and behind it only a hash of the token is found.
A session ends by logging out, after two hours without a request, after twelve in any case, and at once when the key that opened it
is revoked, because the key is looked at again each time. All in real time: a session is a lease. The CSRF token is derived from
the session's token, so it is as secret as that, different in each session, and stored nowhere.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from shared.events import ActorType
from spine.console.forms import Posted, check_csrf
from spine.db import Connection
from spine.errors import NotAuthenticated, SpineError
from spine.gateway import idempotency
from spine.gateway.auth import Work, services_of
from spine.gateway.idempotency import Answer
from spine.gateway.services import Services
from spine.identity import Principal, Role, is_tenant

COOKIE = "spine_console"
IDLE = timedelta(hours=2)
LONGEST = timedelta(hours=12)
_TOUCH = timedelta(minutes=1)  # a page a second must not be a write a second
_NOBODY = "log in to see this page: your session has ended, or there was none"

_FIND = """
    select s.principal_id, s.role, s.actor_type, s.key_id, s.seen_at < now() - %(touch)s as stale,
           k.principal_id as key_principal, k.role as key_role, k.actor_type as key_actor_type,
           (select count(*) from approvals a where a.tenant_id = s.tenant_id and a.state = 'pending') as waiting
    from console_sessions s left join api_keys k on k.tenant_id = s.tenant_id and k.key_id = s.key_id and k.revoked_at is null
         and (k.expires_at is null or k.expires_at > now())
    where s.tenant_id = %(tenant)s and s.session_hash = %(hash)s and s.expires_at > now() and s.seen_at > now() - %(idle)s
      and (s.key_id is null or k.key_id is not null)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody whose session holds. `waiting` counts the tenant's pending approvals; `csrf` goes into each form."""

    principal: Principal
    csrf: str
    waiting: int

    def may(self, role: str) -> bool:
        """For templates: whether this person's role covers `role`."""
        return self.principal.role.covers(Role(role))


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWork(Work):
    """A gateway's `Work` for a person at a page."""

    visitor: Visitor


class Visit:
    """A request with, perhaps, a session. Nothing is proved before `reading` or `once`, which prove it in their transaction."""

    def __init__(self, services: Services, request: Request) -> None:
        self.services = services
        self.request = request

    @contextmanager
    def reading(self, needed: Role = Role.VIEWER) -> Iterator[PageWork]:
        """One transaction. Raises NotAuthenticated and NotAllowed."""
        with self._work(needed, "") as work:
            yield work

    def once(self, needed: Role, form: Posted, do: Callable[[PageWork], Answer]) -> Answer:
        """Do what a form asks, once for its nonce: a second click waits for the first one's end and gets its answer.

        Raises NotAuthenticated, NotAllowed (role, CSRF), InvalidInput (no nonce) and IdempotencyConflict, when a form is sent again
        with other words in it: after the back button, say. What failed left nothing, so the same form may be sent again.
        """
        key = f"console-{form.nonce()}"
        mark = idempotency.fingerprint(self.request.method, self.request.url.path, form.content)
        with idempotency.one_answer_each(key), self._work(needed, key) as work:
            check_csrf(form, work.visitor.csrf)
            work.conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"form\x1f{work.tenant_id}\x1f{key}",))
            whose = {"tenant_id": work.tenant_id, "principal_id": work.principal.id, "key": key, "fingerprint": mark}
            if (known := idempotency.recall(work.conn, **whose)) is not None:
                return known
            answer = do(work)
            idempotency.remember(work.conn, answer, **whose)
        return answer

    @contextmanager
    def _work(self, needed: Role, call_id: str) -> Iterator[PageWork]:
        tenant_id, token = split(self.request.cookies.get(COOKIE))
        with self.services.database.tenant(tenant_id) as conn:
            visitor = visitor_of(conn, tenant_id, token)
            self.request.state.visitor = visitor  # so that a refusal's page still knows whose it is
            visitor.principal.require(needed)
            yield PageWork(
                conn=conn,
                principal=visitor.principal,
                services=self.services,
                correlation_id=str(self.request.state.correlation_id),
                call_id=call_id,
                visitor=visitor,
            )


def visitor_here(request: Request) -> Visitor | None:
    """Whose session this request carries, if anybody's: for pages that have no other business in the database."""
    try:
        with Visit(services_of(request), request).reading() as work:
            return work.visitor
    except SpineError:
        return None


def open_session(conn: Connection, principal: Principal, *, key_id: str | None) -> str:
    """Start a session and return the cookie's value, which cannot be read again. Clears away what has ended."""
    conn.execute("delete from console_sessions where tenant_id = %s and expires_at < now()", (principal.tenant_id,))
    token = secrets.token_urlsafe(32)
    conn.execute(
        "insert into console_sessions (tenant_id, session_hash, key_id, principal_id, role, actor_type, expires_at) "
        "values (%s, %s, %s, %s, %s, %s, now() + %s)",
        (principal.tenant_id, _hashed(token), key_id, principal.id, principal.role.value, principal.actor_type.value, LONGEST),
    )
    return f"{principal.tenant_id}.{token}"


def close_session(conn: Connection, tenant_id: str, token: str) -> None:
    conn.execute("delete from console_sessions where tenant_id = %s and session_hash = %s", (tenant_id, _hashed(token)))


def visitor_of(conn: Connection, tenant_id: str, token: str) -> Visitor:
    """Whose session this is, asked inside the tenant's wall. Raises NotAuthenticated, in the same words whatever is wrong."""
    given = {"tenant": tenant_id, "hash": _hashed(token), "idle": IDLE, "touch": _TOUCH}
    row = conn.execute(_FIND, given).fetchone()
    if row is None:
        raise NotAuthenticated(_NOBODY)
    if row["stale"]:
        conn.execute("update console_sessions set seen_at = now() where tenant_id = %(tenant)s and session_hash = %(hash)s", given)
    by_key = "key_" if row["key_id"] is not None else ""
    principal = Principal(
        tenant_id=tenant_id,
        id=row["key_principal" if by_key else "principal_id"],
        role=Role(row[f"{by_key}role"]),
        actor_type=ActorType(row[f"{by_key}actor_type"]),
    )
    return Visitor(principal=principal, csrf=_csrf(token), waiting=row["waiting"])


def split(cookie: str | None) -> tuple[str, str]:
    """Tenant and token that a cookie claims; nothing is proved by it. Raises NotAuthenticated for what is no cookie of ours."""
    tenant_id, _, token = (cookie or "").rpartition(".")
    if not token or not is_tenant(tenant_id):
        raise NotAuthenticated(_NOBODY)
    return tenant_id, token


def keep(response: Response, request: Request, cookie: str) -> None:
    """Over https the cookie never travels without it; links from elsewhere keep one logged in, forms from elsewhere do not."""
    response.set_cookie(
        COOKIE, cookie, max_age=int(LONGEST.total_seconds()), path="/console", httponly=True, samesite="lax", secure=is_secure(request)
    )


def forget(response: Response, request: Request) -> None:
    response.delete_cookie(COOKIE, path="/console", httponly=True, samesite="lax", secure=is_secure(request))


def is_secure(request: Request) -> bool:
    """Https here, or at whatever stands in front of this gateway."""
    return request.url.scheme == "https" or (services_of(request).settings.gateway_url or "").startswith("https:")


def redirect(answer: Answer | str) -> Response:
    """To the page that an action's answer names, so that a reload there repeats nothing."""
    return RedirectResponse(answer if isinstance(answer, str) else answer.headers["Location"], status_code=303)


def went_to(place: str, **body: object) -> Answer:
    """The answer of an action: the page to see next."""
    return Answer(status=303, body=body, headers={"Location": place})


def _visit(request: Request) -> Visit:
    return Visit(services_of(request), request)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _csrf(token: str) -> str:
    return hmac.new(token.encode(), b"console form", hashlib.sha256).hexdigest()


Visiting = Annotated[Visit, Depends(_visit)]
