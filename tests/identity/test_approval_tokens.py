"""Approval tokens over HTTP: one person, one request, one decision, within minutes."""

import base64
import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from httpx import Response

from shared.events import ActorType
from spine import directory
from spine.approvals import tokens
from spine.audit import Actor
from spine.identity import Role, issue_key, revoke_key
from spine.retention import forget_repetitions
from tests.gateway.conftest import Door

Refused = Callable[..., dict[str, Any]]


def mint(door: Door, approval_id: str, person: str = "ana", *, role: Role = Role.APPROVER, key: str | None = None, **body: Any) -> Response:
    return door.post(f"/v1/approvals/{approval_id}/tokens", body, person, role=role, key=key)


def minted(door: Door, approval_id: str, person: str = "ana", **more: Any) -> str:
    answer = mint(door, approval_id, person, **more)
    assert answer.status_code == 201, answer.json()
    return str(answer.json()["token"])


def spend(door: Door, token: str, verdict: str = "approve", **body: Any) -> Response:
    return door.client.post("/v1/approvals/decide-by-token", json={"token": token, "verdict": verdict, "reason": "by mail", **body})


def test_a_token_decides_once_in_the_name_of_its_person_without_a_key(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    token = minted(door, approval_id)
    answer = spend(door, token)
    assert (answer.status_code, answer.json()["state"], answer.json()["intent_state"]) == (201, "approved", "runnable")
    [decided] = door.get(f"/v1/approvals/{approval_id}").json()["decisions"]
    assert (decided["decided_by"], decided["role"]) == ("ana", "approver")
    refused(spend(door, token), 409, "approval-refused", "used already")
    refused(spend(door, token, "reject"), 409, "approval-refused", "used already")
    assert door.count("approval_decisions") == 1


def test_two_uses_of_one_token_at_the_same_time_are_one_decision(door: Door) -> None:
    token, answers = minted(door, door.statement()), list[int]()
    threads = [threading.Thread(target=lambda: answers.append(spend(door, token).status_code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409, 409, 409]
    assert door.count("approval_decisions") == 1


def test_a_reject_by_token_says_why_and_closes_the_intent(door: Door, refused: Refused) -> None:
    token = minted(door, door.message(), verdicts=["reject"])
    refused(spend(door, token), 403, "not-allowed", "not good for 'approve'")
    refused(spend(door, token, "reject", reason=None), 400, "invalid-input", "'reason'")
    assert spend(door, token, "reject").json()["intent_state"] == "rejected", "what was refused spent nothing"


def test_a_token_for_an_edit_is_not_to_be_had(door: Door, refused: Refused) -> None:
    refused(mint(door, door.message(), verdicts=["edit"]), 422, "schema-violation")


def test_a_token_of_a_request_that_was_edited_since_is_refused(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    token = minted(door, approval_id)
    payload = {"contact_id": "contact/globex", "subject": "Good morning", "body": "shorter"}
    edited = door.post(f"/v1/approvals/{approval_id}/decisions", {"verdict": "edit", "payload": payload}, "omar")
    assert edited.status_code == 201
    refused(spend(door, token), 409, "approval-refused", "'edited' already")


@pytest.mark.parametrize(("column", "value"), [("digest", "sha256:other"), ("policy_version", "sha256:other"), ("action", "send_whatsapp")])
def test_a_token_is_for_what_was_looked_at(door: Door, refused: Refused, column: str, value: str) -> None:
    approval_id = door.message()
    token = minted(door, approval_id)
    table = "intents" if column == "action" else "approvals"
    with door.database.tenant("acme") as conn:
        conn.execute(f"update {table} set {column} = %s where tenant_id = 'acme'", (value,))
    refused(spend(door, token), 409, "approval-refused", "something else")
    assert door.count("approval_tokens", "used_at is null") == 1


def test_a_token_of_one_tenant_says_nothing_in_another(door: Door, refused: Refused) -> None:
    """The tenant is in the token: what names another one beside it is refused, and on record as an attempt."""
    approval_id = door.message()
    door.message(tenant="rival")
    token = minted(door, approval_id)
    refused(spend(door, token, tenant_id="rival"), 403, "tenant-mismatch", "'rival'")
    assert door.count("audit_log", "action = 'tenant.mismatch' and severity = 'V2'") == 1
    assert door.count("approval_decisions", tenant="rival") == 0
    grant = tokens.read(door.services.settings, token)
    moved = tokens.token_of(door.services.settings, tokens.Grant(**{**_fields(grant), "tenant_id": "rival"}))
    refused(spend(door, moved), 401, "not-authenticated", "holds no longer")  # even one that was signed by us


def test_a_changed_claim_another_key_and_another_algorithm_are_refused(door: Door, refused: Refused) -> None:
    token = minted(door, door.message())
    head, body, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = [
        f"{head}.{_part({**said, 'sub': 'mallory'})}.{signature}",
        f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        jwt.encode(said, "another key of thirty-two characters", algorithm="HS256"),
        jwt.encode({**said, "aud": "console"}, "x" * 32, algorithm="HS256"),
    ]
    for one in forged:
        refused(spend(door, one), 401, "not-authenticated", "no approval token")
    assert door.count("approval_decisions") == 0


def test_a_token_runs_out(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    grant = tokens.read(door.services.settings, minted(door, approval_id))
    old = tokens.Grant(**{**_fields(grant), "expires_at": datetime.now(UTC) - timedelta(seconds=2)})
    refused(spend(door, tokens.token_of(door.services.settings, old)), 401, "not-authenticated", "run out")
    with door.database.tenant("acme") as conn:
        conn.execute("update approval_tokens set expires_at = now() - interval '1 second'")
    refused(spend(door, tokens.token_of(door.services.settings, grant)), 401, "not-authenticated", "holds no longer")


def test_a_token_lives_for_minutes_and_no_longer_than_its_request_waits(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    lasts = datetime.fromisoformat(mint(door, approval_id, minutes=10).json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=9) < lasts <= timedelta(minutes=10)
    with door.database.tenant("acme") as conn:
        conn.execute("update approvals set expires_at = %s", (door.services.clock.now() + timedelta(minutes=2),))
    lasts = datetime.fromisoformat(mint(door, approval_id, minutes=10).json()["expires_at"]) - datetime.now(UTC)
    assert lasts <= timedelta(minutes=2)
    refused(mint(door, approval_id, minutes=61), 422, "schema-violation", "'minutes'")


def test_the_same_call_again_gives_the_same_token_and_no_second_one(door: Door) -> None:
    approval_id = door.message()
    first, again = (mint(door, approval_id, key="call-1") for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert door.count("approval_tokens") == 1


def test_a_token_is_kept_and_logged_nowhere(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        approval_id = door.message()
        token = minted(door, approval_id)
        spend(door, token + "x")
        spend(door, token)
        spend(door, token)
    signature = token.rsplit(".", 1)[1]
    assert signature not in caplog.text
    for table in ("approval_tokens", "idempotent_calls", "audit_log", "events", "approval_decisions"):
        with door.database.tenant("acme") as conn:
            assert signature not in str(conn.execute(f"select * from {table}").fetchall()), table


def test_an_admin_mints_for_somebody_in_the_directory_and_not_to_sign_twice(door: Door, refused: Refused) -> None:
    approval_id = door.statement()
    refused(mint(door, approval_id, "ana", approver="bob"), 403, "not-allowed", "takes 'admin'")
    refused(mint(door, approval_id, "root", role=Role.ADMIN, approver="bob"), 404, "not-found", "'bob'")
    with door.database.tenant("acme") as conn:
        by = Actor(ActorType.HUMAN, "root")
        directory.add(conn, tenant_id="acme", person="bob", function="legal", actor=by, clock=door.services.clock)
    token = minted(door, approval_id, "root", role=Role.ADMIN, approver="bob")
    door.post(f"/v1/approvals/{approval_id}/decisions", {"verdict": "approve"}, "root")
    refused(mint(door, approval_id, "root", role=Role.ADMIN, approver="ana"), 409, "approval-refused", "mints no token for others")
    refused(spend(door, token), 409, "approval-refused", "'root' let the token be made")
    assert door.get(f"/v1/approvals/{approval_id}").json()["approvals_remaining"] == 1


def test_one_admin_does_not_come_to_hold_the_signatures_of_two_people(door: Door, refused: Refused) -> None:
    approval_id = door.statement()
    door.key("bob")
    door.key("cleo")
    minted(door, approval_id, "root", role=Role.ADMIN, approver="bob")
    assert mint(door, approval_id, "root", role=Role.ADMIN, approver="bob").status_code == 201, "the first link was lost"
    refused(mint(door, approval_id, "root", role=Role.ADMIN, approver="cleo"), 409, "approval-refused", "for 'bob'")


def test_who_let_the_token_be_made_is_on_record_with_the_decision(door: Door) -> None:
    approval_id = door.message()
    door.key("bob")
    spend(door, minted(door, approval_id, "root", role=Role.ADMIN, approver="bob"))
    history = door.get(f"/v1/approvals/{approval_id}").json()["history"]
    assert [(row["actor"], row["detail"]["approver"]) for row in history if row["action"] == "approval.token_minted"] == [("root", "bob")]
    [decided] = [row for row in history if row["action"] == "approval.decided"]
    assert (decided["actor"], decided["detail"]["token_minted_by"]) == ("bob", "root")


def test_a_program_mints_nothing_for_itself(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    with door.database.tenant("acme") as conn:
        door.keys["acme", "robot"] = issue_key(
            conn, tenant_id="acme", principal_id="robot", role=Role.ADMIN, actor_type=ActorType.EXECUTOR_SYSTEM
        )
    refused(mint(door, approval_id, "robot"), 403, "not-allowed", "people decide")
    door.key("bob")
    assert mint(door, approval_id, "robot", approver="bob").status_code == 201, "a notice that carries a link"


def test_whose_key_is_revoked_holds_no_token_either(door: Door, refused: Refused) -> None:
    token = minted(door, door.message())
    with door.database.tenant("acme") as conn:
        revoke_key(conn, tenant_id="acme", key_id=door.key("ana").rsplit(".", 2)[1])
    refused(spend(door, token), 401, "not-authenticated", "holds no longer")


def test_the_requester_is_given_no_token_and_nobody_for_what_is_over(door: Door, refused: Refused) -> None:
    approval_id = door.message()
    door.key("test-automation")
    refused(mint(door, approval_id, "root", role=Role.ADMIN, approver="test-automation"), 409, "approval-refused", "asked for")
    door.post(f"/v1/approvals/{approval_id}/decisions", {"verdict": "approve"}, "omar")
    refused(mint(door, approval_id), 409, "approval-refused", "waits no longer")


def _fields(grant: tokens.Grant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in tokens.Grant.__dataclass_fields__}


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_tokens_that_are_over_are_forgotten_after_a_month_and_never_while_their_request_waits(door: Door) -> None:
    done, waits, young = door.message(key="lead-1"), door.message(key="lead-2"), door.message(key="lead-3")
    for approval_id in (done, waits, young):
        mint(door, approval_id)
    for approval_id in (done, young):
        door.post(f"/v1/approvals/{approval_id}/decisions", {"verdict": "approve"}, "omar")
    with door.database.tenant("acme") as conn:
        conn.execute("update approval_tokens set expires_at = now() - interval '31 days' where approval_id <> %s", (young,))
    now = datetime.now(UTC)
    assert forget_repetitions(door.database, "rival", now=now)["approval_tokens"] == 0
    assert forget_repetitions(door.database, "acme", now=now)["approval_tokens"] == 1
    with door.database.tenant("acme") as conn:
        assert {str(row["approval_id"]) for row in conn.execute("select approval_id from approval_tokens")} == {waits, young}
