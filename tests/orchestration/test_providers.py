"""The loopback providers as a process of their own: webhooks that are owed until taken, and a ledger that survives."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from orchestration.plugins.esign import EsignPlugin
from spine.settings import Settings
from spine.stack.ports import free_ports
from tests.orchestration.test_plugins import contract

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(ThreadingHTTPServer):
    """Refuses the first two deliveries."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.taken = threading.Event()


class _Taking(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        refused = len(self.server.seen) < 3
        self.send_response(503 if refused else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if not refused:
            self.server.taken.set()

    def log_message(self, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def process(ledger: Path, *more: str) -> Iterator[str]:
    """The address of a providers process, killed the hard way at the end."""
    smtp, http = free_ports(2)
    command = [sys.executable, "-m", "spine.testing.providers", "--smtp-port", str(smtp), "--http-port", str(http), "--ledger", str(ledger)]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"providers ready: smtp://127.0.0.1:{smtp} http://127.0.0.1:{http}\n"
        try:
            yield f"http://127.0.0.1:{http}"
        finally:
            running.kill()


def test_what_signers_do_is_reported_signed_until_somebody_takes_it(receiver: Receiver, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    address = f"http://127.0.0.1:{receiver.server_address[1]}/v1/webhooks/{{tenant_id}}/esign"
    with process(ledger, "--sign-after", "3600") as url, closing(EsignPlugin.from_settings(Settings(esign_url=f"{url}/esign"))) as esign:
        envelope = esign.perform("acme", contract())["reference"]
    with process(ledger, "--sign-after", "0", "--webhook-url", address, "--webhook-secret", SECRET) as url:
        assert receiver.taken.wait(20), "an envelope from before a kill -9 is answered after it"
        assert httpx.get(f"{url}/ledger").json()["counts"]["esign"]["effects"] == 1
    assert {path for path, _headers, _body in receiver.seen} == {"/v1/webhooks/acme/esign"}
    assert len({headers["webhook-id"] for _path, headers, _body in receiver.seen}) == 1
    for _path, headers, body in receiver.seen:
        report = Webhook(SECRET).verify(body, headers)
        assert report["data"] == {"envelope_id": envelope, "status": "completed", "tenant_id": "acme", "deal_id": "D1"}
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body.replace(b"completed", b"declined"), headers)


def test_troubles_and_signers_are_set_over_http_and_a_word_that_is_none_is_refused(tmp_path: Path) -> None:
    with process(tmp_path / "ledger.sqlite") as url:
        assert httpx.post(f"{url}/behaviour", json={"provider": "crm", "mode": "unavailable", "times": 2}).status_code == 200
        assert httpx.post(f"{url}/signing", json={"decline_marker": "isdom"}).status_code == 200
        assert httpx.post(f"{url}/behaviour", json={"provider": "crm", "mode": "explode"}).status_code == 422
        write = {"url": f"{url}/crm/deals/D1", "json": {"stage": "won"}}
        headers = {"Idempotency-Key": "k"}
        assert [httpx.put(**write, headers=headers).status_code for _ in range(3)] == [503, 503, 200]
        assert httpx.put(**write).status_code == 400, "a change without an idempotency key is refused"
