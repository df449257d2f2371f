"""An e-signature provider: envelopes, signers who answer after a while, and webhooks until somebody says 2xx."""

import json
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field
from standardwebhooks import Webhook

from spine.testing.providers.behaviour import Behaviour
from spine.testing.providers.ledger import ProviderLedger

_SWEEP_SECONDS = 0.05
_LONGEST_BACKOFF = 5.0


class _Request(BaseModel):
    document: dict[str, Any]
    signers: list[dict[str, str]] = Field(min_length=1)
    metadata: dict[str, str] = Field(default_factory=dict)


class Envelopes:
    """Statuses: sent → completed | declined | expired | voided. Terminal ones stay."""

    def __init__(self, ledger: ProviderLedger, behaviour: Behaviour) -> None:
        self._ledger = ledger
        self._behaviour = behaviour

    def create(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked = _Request.model_validate(body)
        with self._ledger.locked():
            known = self._ledger.object_by_key("esign", key)
            self._ledger.record("esign", "envelope.create", key, body, made=known is None)
            if known is not None:
                return 200, known
            envelope_id = f"env-{uuid4().hex[:16]}"
            envelope = {
                "envelope_id": envelope_id,
                "key": key,
                "status": "sent",
                "metadata": asked.metadata,
                "account": str(asked.document.get("account", "")),
                "sent_at": time.time(),
            }
            self._ledger.keep("esign", envelope_id, key, envelope)
        return 201, envelope

    def void(self, envelope_id: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Voiding what is voided changes nothing; what everybody signed cannot be voided."""
        with self._ledger.locked():
            envelope = self._ledger.object("esign", envelope_id)
            if envelope is None:
                return 404, {"error": "no such envelope"}
            if envelope["status"] == "completed":
                return 409, {"error": "everybody signed already"}
            made = envelope["status"] != "voided"
            self._ledger.record("esign", "envelope.void", key, {"envelope_id": envelope_id, **body}, made=made)
            envelope["status"] = "voided"
            self._ledger.keep("esign", envelope_id, envelope["key"], envelope)
        return 200, envelope

    def let_signers_answer(self) -> None:
        """Move envelopes whose signers have made up their minds, and owe a webhook for each."""
        signing = self._behaviour.signing
        with self._ledger.locked():
            for envelope in self._ledger.objects("esign", status="sent"):
                if time.time() < envelope["sent_at"] + signing.after_seconds:
                    continue
                status: Literal["completed", "declined", "expired"] | None = signing.answer(
                    envelope["account"], envelope["metadata"].get("deal_id", "")
                )
                if status is None:
                    continue
                envelope |= {"status": status, "answered_at": datetime.now(UTC).isoformat()}
                self._ledger.keep("esign", envelope["envelope_id"], envelope["key"], envelope)
                if not signing.silent:
                    self._ledger.owe_webhook(f"msg-{envelope['envelope_id']}-{status}", _report(envelope))


def _report(envelope: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": f"envelope.{envelope['status']}",
        "timestamp": envelope["answered_at"],
        "data": {"envelope_id": envelope["envelope_id"], "status": envelope["status"], **envelope["metadata"]},
    }


class Postman:
    """Delivers webhooks in Standard Webhooks form: the same `webhook-id` on each try, a fresh timestamp and signature."""

    def __init__(self, ledger: ProviderLedger, envelopes: Envelopes, url: str | None, secret: str | None) -> None:
        self.url = url
        self._ledger = ledger
        self._envelopes = envelopes
        self._secret = secret
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_SWEEP_SECONDS):
            self._envelopes.let_signers_answer()
            if self.url:
                for webhook_id, body, attempts in self._ledger.due_webhooks():
                    delivered = self._deliver(self.url, webhook_id, body)
                    self._ledger.webhook_tried(webhook_id, delivered=delivered, next_in_seconds=min(_LONGEST_BACKOFF, 0.2 * 2**attempts))

    def _deliver(self, url: str, webhook_id: str, body: str) -> bool:
        now = datetime.now(UTC)
        headers = {"Content-Type": "application/json", "webhook-id": webhook_id, "webhook-timestamp": str(int(now.timestamp()))}
        if self._secret:
            headers["webhook-signature"] = Webhook(self._secret).sign(webhook_id, now, body)
        address = url.replace("{tenant_id}", json.loads(body)["data"].get("tenant_id", ""))
        request = urllib.request.Request(address, data=body.encode(), headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return bool(200 <= response.status < 300)
        except (urllib.error.URLError, OSError):
            return False  # not taken: owed still
