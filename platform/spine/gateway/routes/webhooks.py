"""POST /v1/webhooks/{tenant}/{provider}: what providers report, signed by Standard Webhooks 1.0."""

import json
import logging
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from standardwebhooks import Webhook, WebhookVerificationError

from shared.events import ActorType
from spine.audit import Actor
from spine.errors import InvalidInput, NotAuthenticated, NotFound, TenantMismatch
from spine.gateway.auth import report_violation, services_of
from spine.gateway.problems import why_unparsable
from spine.gateway.services import Services
from spine.identity import is_tenant, list_keys
from spine.intake import WEBHOOK_PROVIDERS, take_webhook
from spine.views import View

router = APIRouter(tags=["webhooks"])
_log = logging.getLogger(__name__)


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
    body = _verified(services, provider, request, raw)
    try:
        with services.database.tenant(tenant_id) as conn:
            if not list_keys(conn, tenant_id):  # asked after the signature was proved: a guess learns nothing
                raise NotFound(f"there is no tenant {tenant_id!r}: nobody was ever given a key of it; mend the address at the provider")
            taken = take_webhook(conn, tenant_id=tenant_id, provider=provider, webhook_id=webhook_id, body=body, clock=services.clock)
    except TenantMismatch as error:
        report_violation(services, tenant_id, Actor(ActorType.EXECUTOR_SYSTEM, provider), request, error)
        raise
    if taken.correlation_id:
        request.state.correlation_id = taken.correlation_id
    if taken.outcome == "dead_letter":
        _log.warning("webhook %r of %r could not be understood and is kept as a dead letter", webhook_id, provider)
    return WebhookAnswer(outcome=taken.outcome, event_id=taken.event_id, correlation_id=taken.correlation_id)


def _verified(services: Services, provider: str, request: Request, raw: bytes) -> dict[str, Any]:
    webhook = Webhook(services.settings.require("esign_webhook_secret"))
    try:
        webhook.verify(raw, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:  # ValueError: a header or a body that is not even well-formed
        why = str(error) if isinstance(error, WebhookVerificationError) else "it is malformed"
        raise NotAuthenticated(
            f"the webhook's signature does not hold: {why}. Send webhook-id, webhook-timestamp (within 5 minutes) and "
            "webhook-signature (v1, over id.timestamp.body) as Standard Webhooks 1.0 says, with the secret we share"
        ) from error
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the webhook of {provider!r} is not JSON: {why_unparsable(error)}") from error
    if not isinstance(body, dict):
        raise InvalidInput(f"the webhook of {provider!r} is not a JSON object")
    return body
