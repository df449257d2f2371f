"""Who is visiting, what they may do, and the one transaction in which they do it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from shared.events import PolicyViolationDetected, Severity
from spine import audit, eventlog
from spine.audit import Actor
from spine.db import Connection
from spine.errors import ApprovalRefused, NotAllowed, NotAuthenticated, PolicyDenied, SpineError, TenantMismatch
from spine.gateway import idempotency, problems
from spine.gateway.credentials import Ahead, proving, refuse_other_tenant
from spine.gateway.idempotency import Answer
from spine.gateway.services import Services
from spine.identity import Principal, Role
from spine.telemetry import current_traceparent

Refused = Callable[[Principal, SpineError], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An authenticated, allowed request in its transaction. `call_id` is what makes its ids: the idempotency key, "" for reads."""

    conn: Connection
    principal: Principal
    services: Services
    correlation_id: str
    call_id: str = ""

    @property
    def tenant_id(self) -> str:
        return self.principal.tenant_id


class Visit:
    """A request that presents a key. Nothing is proved before `reading` or `once`, which prove it in their transaction."""

    def __init__(self, services: Services, request: Request, presented: str) -> None:
        self.services = services
        self._request = request
        self._presented = presented

    def correlate(self, correlation_id: str | None) -> str:
        """The request's correlation id: the one in its body, else the one in its header, else a new one."""
        if correlation_id is not None:
            self._request.state.correlation_id = correlation_id
            self._request.state.correlation_given = True
        return str(self._request.state.correlation_id)

    @property
    def names_its_flow(self) -> bool:
        """Whether the caller gave a correlation id, in the body or in the header; else it is one that we made."""
        return bool(self._request.state.correlation_given)

    def denied(self, code: str, detail: str, **extensions: Any) -> Answer:
        """A "no" that is itself the outcome: what was recorded about it is committed, and the same call gets the same problem again."""
        body = problems.body_of(self._request, code=code, status=PolicyDenied.http_status, detail=detail, **extensions)
        return Answer(status=PolicyDenied.http_status, body=body, headers={"Content-Type": problems.MEDIA_TYPE})

    @contextmanager
    def reading(self, needed: Role = Role.VIEWER) -> Iterator[Work]:
        """Raises NotAuthenticated, NotAllowed and TenantMismatch."""
        with self._work(needed, "", {}) as (work, _):
            yield work

    def once(
        self,
        needed: Role,
        body: Mapping[str, Any],
        do: Callable[[Work], Answer],
        refused: Refused | None = None,
        ahead: Ahead | None = None,
    ) -> Answer:
        """Do it under the request's idempotency key, or give the answer given before. Commits before it returns.

        What the work will ask first may be asked `ahead`, with the transaction's beginning.
        `refused` is told of a NotAllowed or ApprovalRefused once the transaction is gone, to put it on record; it is raised all the same.
        """
        key = idempotency.read_key(self._request.headers.get(idempotency.HEADER))
        mark = idempotency.fingerprint(self._request.method, self._request.url.path, body)
        with idempotency.one_answer_each(key), self._work(needed, key, body, refused, ahead) as (work, found):
            if (known := idempotency.recalled(found, key=key, fingerprint=mark)) is not None:
                return known
            answer = do(work)
            idempotency.remember(work.conn, answer, tenant_id=work.tenant_id, principal_id=work.principal.id, key=key, fingerprint=mark)
        return answer

    @contextmanager
    def _work(
        self, needed: Role, call_id: str, body: Mapping[str, Any], refused: Refused | None = None, ahead: Ahead | None = None
    ) -> Iterator[tuple[Work, Mapping[str, Any] | None]]:
        """The work, and what was found of the call."""
        principal: Principal | None = None
        try:
            with proving(self.services, self._request, self._presented, call_id, ahead) as (conn, principal, found):
                refuse_other_tenant(principal, self._request, body)
                principal.require(needed)
                work = Work(
                    conn=conn,
                    principal=principal,
                    services=self.services,
                    correlation_id=str(self._request.state.correlation_id),
                    call_id=call_id,
                )
                yield work, found
        except TenantMismatch as error:
            if principal is not None:
                report_violation(self.services, principal.tenant_id, Actor(principal.actor_type, principal.id), self._request, error)
            raise
        except (NotAllowed, ApprovalRefused) as error:
            if principal is not None and refused is not None:
                refused(principal, error)
            raise


def report_violation(services: Services, tenant_id: str, actor: Actor, request: Request, error: TenantMismatch) -> None:
    """Put the attempt on record, in a transaction of its own: that of the request is gone."""
    now = services.clock.now()
    correlation_id = str(request.state.correlation_id)
    with services.database.tenant(tenant_id) as conn:
        audit.record(
            conn,
            tenant_id=tenant_id,
            actor=actor,
            action="tenant.mismatch",
            subject_type="request",
            subject_id=f"{request.method} {request.url.path}"[:200],
            now=now,
            correlation_id=correlation_id,
            severity=Severity.V2,
            detail={"why": str(error)[:500]},
        )
        eventlog.publish(
            conn,
            PolicyViolationDetected(kind=error.code, severity=Severity.V2, detail=str(error)[:500]),
            tenant_id=tenant_id,
            source="/gateway",
            correlation_id=correlation_id,
            now=now,
            traceparent=current_traceparent(),
            actor_type=actor.type,
        )


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


class _Bearer(HTTPBearer):
    """The security scheme that is the dependency itself: each one between a request and its endpoint costs every call."""

    async def __call__(self, request: Request) -> Visit:  # type: ignore[override]  # FastAPI hands on whatever it returns
        credentials = await super().__call__(request)
        if credentials is None:
            raise NotAuthenticated("this needs an API key: send `Authorization: Bearer sk.<tenant>.<key_id>.<secret>`")
        return Visit(services_of(request), request, credentials.credentials)


_BEARER = _Bearer(
    auto_error=False,
    scheme_name="HTTPBearer",
    bearerFormat="sk.<tenant>.<key_id>.<secret>",
    description="an API key, made by `spine keys issue`, or a token of the identity provider that this installation trusts",
)


def answered(answer: Answer, **more: Any) -> JSONResponse:
    """An answer as a response; `more` is what only this moment knows and no replay repeats."""
    headers = {**answer.headers, **({idempotency.REPLAYED: "true"} if answer.replayed else {})}
    return JSONResponse({**answer.body, **more}, status_code=answer.status, headers=headers)


Visiting = Annotated[Visit, Security(_BEARER)]
