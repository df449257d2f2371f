"""Defect 20: a refund, a suspension, a payment link answered "success" and had done nothing. Here an answer is a claim: what the
provider says it holds afterwards is compared with what it was sent, and a difference is on the books, as V2, and an event.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from orchestration.plugins.crm import CrmPlugin
from spine.effects import Completed, Effects
from spine.settings import Settings
from tests.governance.support import WORKER, Desk


@contextmanager
def crm_that_answers(record: dict[str, Any]) -> Iterator[str]:
    """A CRM whose every answer is 200 and this record, whatever it was asked to write."""

    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(record).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def update_deal(desk: Desk, record: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    payload = {"deal_id": "D-1", "fields": {"stage": "signed"}}
    intent_id = desk.propose("crm_deal_update", payload=payload, automation="contract-signature").intent_id
    with crm_that_answers(record) as url:
        connector = CrmPlugin.from_settings(Settings(crm_url=url, crm_token="t"))
        try:
            outcome = Effects(desk.database, {"crm": connector}, desk.policy, desk.clock).execute(desk.tenant, intent_id, actor=WORKER)
        finally:
            connector.close()
    [effect] = desk.sql("select as_intended, receipt from effects where intent_id = %s", intent_id)
    return outcome, effect


def test_a_success_that_changed_nothing_is_contradicted_by_the_record_itself(desk: Desk) -> None:
    outcome, effect = update_deal(desk, {"id": "D-1", "fields": {"stage": "won"}})
    assert isinstance(outcome, Completed)
    assert effect["as_intended"] is False
    [violation] = desk.events("governance.policy_violation_detected")
    assert (violation["kind"], violation["severity"]) == ("contradicted-effect", "V2")
    [said] = desk.sql("select severity, detail from audit_log where action = 'effect.contradicted'")
    assert (said["severity"], said["detail"]["fields"]) == ("V2", ["fields"])


def test_a_success_with_an_empty_record_is_no_proof_either(desk: Desk) -> None:
    _, effect = update_deal(desk, {"id": "D-1"})
    assert effect["as_intended"] is False


def test_a_success_that_did_it_is_as_intended_and_nobody_is_alarmed(desk: Desk) -> None:
    _, effect = update_deal(desk, {"id": "D-1", "fields": {"stage": "signed"}})
    assert effect["as_intended"] is True
    assert desk.events("governance.policy_violation_detected") == []


def test_a_provider_that_says_nothing_proves_nothing(desk: Desk) -> None:
    """No account of what was done is neither agreement nor contradiction, and the books say which."""
    intent_id = desk.runnable(payload={"contact_id": "contact/1", "body": "…", "subject": "Hello"}).intent_id
    desk.provider._receipt = lambda payload, subject=None: {"reference": "r"}  # type: ignore[method-assign]
    desk.execute(intent_id)
    [effect] = desk.sql("select as_intended from effects where intent_id = %s", intent_id)
    assert effect["as_intended"] is None
