"""The HTTP side of the providers: mail lookup, CRM, e-signature, and the knobs.

    GET  /email/messages?message_id=…            200 the message, 404 never seen
    PUT  /crm/{contacts|deals}/{external_id}     upsert; Idempotency-Key recognises a repetition
    GET  /crm/{contacts|deals}/{external_id}
    POST /esign/envelopes                        Idempotency-Key: the same key gives the same envelope
    GET  /esign/envelopes?key=…  ·  GET /esign/envelopes/{id}  ·  POST /esign/envelopes/{id}/void
    GET  /ledger[?entries=1]  ·  POST /behaviour (a Trouble)  ·  POST /signing (a Signing)  ·  GET /health

The standard library's server, because it can do what a provider on a bad day does: take a request and hang up.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ValidationError

from spine.testing.providers.behaviour import Behaviour, Signing, Trouble
from spine.testing.providers.esign import Envelopes
from spine.testing.providers.ledger import ProviderLedger

Answer = tuple[int, dict[str, Any]]


class Web(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, ledger: ProviderLedger, behaviour: Behaviour, envelopes: Envelopes) -> None:
        super().__init__((host, port), _Handler)
        self.ledger = ledger
        self.behaviour = behaviour
        self.envelopes = envelopes

    def answer(self, method: str, path: list[str], query: dict[str, str], key: str, body: dict[str, Any]) -> Answer:
        match method, path:
            case "GET", ["health"]:
                return 200, {"status": "ok"}
            case "GET", ["ledger"]:
                return 200, {"counts": self.ledger.counts(), **({"entries": self.ledger.entries()} if query.get("entries") else {})}
            case "POST", ["behaviour"]:
                self.behaviour.add(Trouble.model_validate(body))
                return 200, {}
            case "POST", ["signing"]:
                self.behaviour.signing = Signing.model_validate(body)
                return 200, {}
            case "GET", ["email", "messages"]:
                found = self.ledger.object("email", query.get("message_id", ""))
                return (200, found) if found else (404, {"error": "no such message"})
            case "PUT", ["crm", ("contacts" | "deals") as kind, external_id]:
                return self._upsert(kind, external_id, key, body)
            case "GET", ["crm", ("contacts" | "deals") as kind, external_id]:
                found = self.ledger.object("crm", f"{kind}/{external_id}")
                return (200, found) if found else (404, {"error": "no such record"})
            case "POST", ["esign", "envelopes"]:
                return self.envelopes.create(key, body)
            case "GET", ["esign", "envelopes"]:
                found = self.ledger.object_by_key("esign", query.get("key", ""))
                return (200, found) if found else (404, {"error": "no such envelope"})
            case "GET", ["esign", "envelopes", envelope_id]:
                found = self.ledger.object("esign", envelope_id)
                return (200, found) if found else (404, {"error": "no such envelope"})
            case "POST", ["esign", "envelopes", envelope_id, "void"]:
                return self.envelopes.void(envelope_id, key, body)
        return 404, {"error": f"nothing at {method} /{'/'.join(path)}"}

    def _upsert(self, kind: str, external_id: str, key: str, body: dict[str, Any]) -> Answer:
        with self.ledger.locked():
            record = self.ledger.object("crm", f"{kind}/{external_id}") or {
                "external_id": external_id,
                "version": 0,
                "keys": [],
                "fields": {},
            }
            made = key not in record["keys"]
            if made:
                record["fields"] |= body
                record["version"] += 1
                record["keys"].append(key)
                self.ledger.keep("crm", f"{kind}/{external_id}", f"{kind}/{external_id}", record)
            self.ledger.record("crm", f"{kind}.upsert", key, {"external_id": external_id, **body}, made=made)
        return 200, record


class _Handler(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        address = urlsplit(self.path)
        path = [unquote(part) for part in address.path.strip("/").split("/")]
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.headers.get("Idempotency-Key", "")
        changes = path[0] in ("crm", "esign") and self.command != "GET"
        trouble = self.server.behaviour.next(path[0], f"{self.path}\n{raw.decode(errors='replace')}") if changes else None
        match trouble.mode if trouble else None:
            case "refuse":
                return self._reply(422, {"error": "this is not acceptable"})
            case "unavailable":
                return self._reply(503, {"error": "come back later"})
            case "hang":
                time.sleep(trouble.delay_seconds if trouble else 0)
                self.close_connection = True
                return None
            case "slow":
                time.sleep(trouble.delay_seconds if trouble else 0)
        if changes and not key:
            return self._reply(400, {"error": "Idempotency-Key is missing"})
        try:
            status, answer = self.server.answer(self.command, path, query, key, json.loads(raw or b"{}"))
        except (ValidationError, ValueError) as error:
            status, answer = 422, {"error": str(error)}
        if trouble and trouble.mode == "lose_answer":
            self.close_connection = True
            return None
        if trouble and trouble.mode == "late":
            time.sleep(trouble.delay_seconds)
        return self._reply(status, answer)

    do_GET = do_POST = do_PUT = _serve

    def _reply(self, status: int, answer: dict[str, Any] | BaseModel) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Silent: the ledger is the log."""
