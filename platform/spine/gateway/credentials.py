"""What a request presents, and who that proves: an API key in its tenant's transaction, or a token of the identity provider before it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastapi import Request

from spine import identity
from spine.db import Connection, Question
from spine.errors import NotAuthenticated, TenantMismatch
from spine.gateway import idempotency
from spine.gateway.services import Services
from spine.identity import Principal, is_api_key, tenant_of

TENANT_HEADER = "x-tenant-id"
_TENANT_NAMES = ("tenant_id", "tenantid", "tenantId")
_CROSS_TENANT = "cross_tenant_context"  # the seeds' flag for "look beyond the tenant": there is no such thing (domain.md §5)

Ahead = Callable[[str], Question]
"""What the work of a request will ask, given its tenant."""


class Proved(NamedTuple):
    conn: Connection
    principal: Principal
    found: Mapping[str, Any] | None
    """For `idempotency.recalled`, where a call was named."""


@contextmanager
def proving(services: Services, request: Request, presented: str, call_id: str, ahead: Ahead | None = None) -> Iterator[Proved]:
    """One transaction inside the tenant that the credential itself names, and whoever it proves; `call_id` is "" for reads.

    Who it is, what is known of the call, and what is asked `ahead` for the work come with the transaction's beginning.

    A token is verified before the transaction is open: its issuer may have to be asked for keys, and nothing waits for others while
    it holds a transaction. Raises NotAuthenticated, ProviderUnavailable (the issuer is away) and RateLimited.
    """
    by_token = services.oidc is not None and not is_api_key(presented)
    tenant_id = "" if by_token else tenant_of(presented)
    address = address_of(request)
    whose = _admitted(services, request, presented, address)
    try:
        known = services.oidc.principal(presented) if by_token and services.oidc else None
    except NotAuthenticated:
        _failed(services, whose, address)
        raise
    tenant_id = known.tenant_id if known else tenant_id
    asked = _question(known, presented, tenant_id, call_id)
    with services.database.asking(tenant_id, asked, ahead(tenant_id) if ahead else None) as (conn, found):
        try:
            principal = known or identity.principal_in(found, conn, presented)
        except NotAuthenticated:
            _failed(services, whose, address)
            raise
        if services.rates:
            services.rates.proved(whose)
        yield Proved(conn, principal, found)


def _question(known: Principal | None, presented: str, tenant_id: str, call_id: str) -> Question | None:
    if not call_id:
        return None if known else identity.whose(presented)
    who = idempotency.proved(known.id) if known else identity.whose(presented)
    return idempotency.recalling(who, tenant_id=tenant_id, key=call_id)


def refuse_other_tenant(principal: Principal, request: Request, body: Mapping[str, Any]) -> None:
    """The credential chooses the tenant; header, query, path, body, and what the body carries may repeat it and not choose another.

    Raises TenantMismatch, also for a flag that asks for several tenants at once.
    """
    parts = [body, *(part for name in ("payload", "data") if isinstance(part := body.get(name), Mapping))]
    named = [request.headers.get(TENANT_HEADER), request.query_params.get("tenant_id"), request.path_params.get("tenant_id")]
    named += [part.get(name) for part in parts for name in _TENANT_NAMES]
    for tenant in named:
        if tenant is not None and tenant != principal.tenant_id:
            raise TenantMismatch(
                f"the key is of tenant {principal.tenant_id!r}, the request names {str(tenant)[:63]!r}: "
                "use that tenant's key, or leave the tenant out: the key chooses it"
            )
    if any(part.get(_CROSS_TENANT) for part in parts):
        raise TenantMismatch(f"{_CROSS_TENANT!r} is set: a request is of one tenant, {principal.tenant_id!r}; leave the flag out")


def address_of(request: Request) -> str:
    """Who is calling, as far as the network says; behind a proxy on this machine, as that says (X-Forwarded-For)."""
    return request.client.host if request.client else "unknown"


def _admitted(services: Services, request: Request, presented: str, address: str) -> str:
    """The credential's name for `Rates`. A request is counted once, however many transactions it takes. Raises RateLimited."""
    if services.rates is None:
        return ""
    whose: str | None = getattr(request.state, "admitted", None)
    if whose is None:
        whose = request.state.admitted = services.rates.admit(presented, address)
    return whose


def _failed(services: Services, whose: str, address: str) -> None:
    if services.rates:
        services.rates.failed(whose, address)
