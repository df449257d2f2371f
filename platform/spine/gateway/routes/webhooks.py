"""POST /v1/webhooks/{tenant}/{provider}: what providers report, signed by Standard Webhooks 1.0."""

import base64
import json
import logging
from collections.abc import Sequence
from secrets import token_bytes
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from standardwebhooks import Webhook, WebhookVerificationError

from shared.events import ActorType
from spine.audit import Actor
from spine.db import Connection
from spine.errors import InvalidInput, NotAuthenticated, NotFound, TenantMismatch
from spine.gateway.auth import report_violation, services_of
from spine.gateway.credentials import address_of
from spine.gateway.problems import why_unparsable
from spine.identity import is_tenant, list_keys
from spine.intake import WEBHOOK_PROVIDERS, take_webhook, webhook_secrets
from spine.settings import Settings
from spine.views import View

router = APIRouter(tags=["webhooks"])
_log = logging.getLogger(__name__)
_NOBODYS = "whsec_" + base64.b64encode(token_bytes(32)).decode()  # so that a tenant without a secret answers like one that has one


class WebhookAnswer(View):
    """`outcome`: published, known (it came before), or dead_letter (kept for a person to look at)."""

    outcome: str
    event_id: str | None = None
    correlation_id: str | None = None


@router.post("/webhooks/{tenant_id}/{provider}", status_code=202)
async def post_webhook(tenant_id: str, provider: str, request: Request) -> WebhookAnswer:
    """No API key: the signature over the raw body is the proof. Refused when older or newer than five minutes."""
    body = await request.body()
    return await run_in_threadpool(_take, request, tenant_id, provider, body)


def _take(request: Request, tenant_id: str, provider: str, raw: bytes) -> WebhookAnswer:
    services = services_of(request)
    if provider not in WEBHOOK_PROVIDERS or not is_tenant(tenant_id):
        raise NotFound(f"no webhooks are taken for {provider!r} of tenant {tenant_id!r}; providers: {', '.join(WEBHOOK_PROVIDERS)}")
    webhook_id = request.headers.get("webhook-id", "")
    address = address_of(request)
    whose = services.rates.admit(f"webhook/{tenant_id}/{provider}/{address}", address) if services.rates else ""
    try:
        with services.database.tenant(tenant_id) as conn:
            body = _verified(secrets_of(conn, services.settings, tenant_id, provider), provider, request, raw)
            if not list_keys(conn, tenant_id):  # asked after the signature was proved: a guess learns nothing
                raise NotFound(f"there is no tenant {tenant_id!r}: nobody was ever given a key of it; mend the address at the provider")
            taken = take_webhook(conn, tenant_id=tenant_id, provider=provider, webhook_id=webhook_id, body=body, clock=services.clock)
    except NotAuthenticated:
        if services.rates:
            services.rates.failed(whose, address)
        raise
    except TenantMismatch as error:
        report_violation(services, tenant_id, Actor(ActorType.EXECUTOR_SYSTEM, provider), request, error)
        raise
    if taken.correlation_id:
        request.state.correlation_id = taken.correlation_id
    if taken.outcome == "dead_letter":
        _log.warning("webhook %r of %r could not be understood and is kept as a dead letter", webhook_id, provider)
    return WebhookAnswer(outcome=taken.outcome, event_id=taken.event_id, correlation_id=taken.correlation_id)


def secrets_of(conn: Connection, settings: Settings, tenant_id: str, provider: str) -> list[str]:
    """What this tenant and this provider share: its own secrets, and in the stack's own tenant the one that the stack was given."""
    found = webhook_secrets.active(conn, settings, tenant_id=tenant_id, provider=provider)
    default = settings.esign_webhook_secret if provider == "esign" and tenant_id == settings.tenant else None
    return [*found, *([default.get_secret_value()] if default else [])]


def _verified(secrets: Sequence[str], provider: str, request: Request, raw: bytes) -> dict[str, Any]:
    """The body, if one of the secrets signed it. A tenant without any refuses in the words for a wrong signature."""
    why: WebhookVerificationError | ValueError = WebhookVerificationError("No matching signature found")
    for secret in secrets or (_NOBODYS,):
        try:
            Webhook(secret).verify(raw, dict(request.headers), json_parse=False)
            break
        except (WebhookVerificationError, ValueError) as error:  # ValueError: a header or a body that is not even well-formed
            why = error
    else:
        said = str(why) if isinstance(why, WebhookVerificationError) else "it is malformed"
        raise NotAuthenticated(
            f"the webhook's signature does not hold: {said}. Send webhook-id, webhook-timestamp (within 5 minutes) and "
            "webhook-signature (v1, over id.timestamp.body) as Standard Webhooks 1.0 says, with the secret that this tenant and you share"
        ) from why
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the webhook of {provider!r} is not JSON: {why_unparsable(error)}") from error
    if not isinstance(body, dict):
        raise InvalidInput(f"the webhook of {provider!r} is not a JSON object")
    return body
