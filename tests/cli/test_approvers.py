"""`spine approvers`, `spine keys rotate` and `spine keys webhook-secret`, typed."""

import pytest

from spine.identity import Role
from tests.cli.conftest import Spine
from tests.gateway.conftest import Door


def admin(spine: Spine, *line: str, **more: object) -> str:
    said = spine(*line, person="root", role=Role.ADMIN, **more)
    assert said.code == 0, said.error or said.out
    return str(said.out)


def test_the_directory_is_written_by_an_admin_and_shown_to_everybody(spine: Spine, office: Door) -> None:
    assert spine("approvers", "add", "lea", "legal").code == 5, "an approver does not name approvers"
    admin(spine, "approvers", "add", "lea", "legal", "--level", "2", "--delegate", "sam")
    admin(spine, "approvers", "add", "eva", "executive")
    assert "until 2026-12-01" in admin(spine, "approvers", "absent", "lea", "--until", "2026-12-01")
    assert "nobody stands in as executive" in admin(spine, "approvers", "absent", "eva", "--until", "2026-12-01")
    shown = spine("approvers", "list", "--json").json()["items"]
    assert [(one["person"], one["level"], one["delegate"]) for one in shown] == [("eva", 1, None), ("lea", 2, "sam")]
    assert shown[1]["absent_until"].startswith("2026-12-01T00:00:00+03:00") or shown[1]["absent_until"].startswith("2026-11-30T21:00:00")
    admin(spine, "approvers", "present", "lea")
    admin(spine, "approvers", "delegate", "lea", "--function", "legal")
    admin(spine, "approvers", "remove", "eva")
    assert [one["person"] for one in spine("approvers", "list", "--json").json()["items"]] == ["lea"]
    assert spine("approvers", "list", "--json", tenant="rival").json()["items"] == []
    assert spine("approvers", "add", "lea", "wizard", person="root", role=Role.ADMIN).code == 6
    assert office.count("audit_log", "action like 'approver.%'") == 7


def test_a_request_says_who_could_sign_and_a_refused_decision_is_on_record(spine: Spine, office: Door) -> None:
    approval_id = office.statement()
    shown = spine("approvals", "show", approval_id).out
    assert "could sign" in shown
    assert "cannot be given now: there are too few people" in shown
    assert spine("approvals", "approve", approval_id).code == 0
    assert spine("approvals", "approve", approval_id).code == 3
    assert office.count("audit_log", "action = 'approval.decision_refused' and actor_id = 'omar'") == 1


def test_a_key_is_rotated_and_the_list_says_when_each_ends(spine: Spine, office: Door) -> None:
    old = office.key("sara")
    new = admin(spine, "keys", "rotate", old.split(".")[2], "--grace-hours", "1").strip()
    assert new.startswith("sk.acme.")
    listed = {one["key_id"]: one for one in spine("keys", "list", "--json", person="root", role=Role.ADMIN).json()}
    assert listed[old.split(".")[2]]["expires_at"] is not None
    assert listed[new.split(".")[2]]["principal_id"] == "sara"
    timed = admin(spine, "keys", "issue", "--principal", "bot", "--role", "operator", "--days", "7").strip()
    listed = {one["key_id"]: one for one in spine("keys", "list", "--json", person="root", role=Role.ADMIN).json()}
    assert listed[timed.split(".")[2]]["expires_at"] is not None


def test_a_webhook_secret_is_shown_once(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_TOKEN_KEY", "a key for tokens, of forty characters ..")
    secret = admin(spine, "keys", "webhook-secret", "add", "esign").strip()
    newer = admin(spine, "keys", "webhook-secret", "rotate", "esign", "--grace-hours", "1").strip()
    assert secret.startswith("whsec_")
    assert newer != secret
    listed = admin(spine, "keys", "webhook-secret", "list", "--json")
    assert secret not in listed
    assert listed.count('"holds": true') == 2
    given = "whsec_" + "A" * 43 + "="
    assert spine("keys", "webhook-secret", "add", "esign", "--given", person="root", role=Role.ADMIN, given=given).code == 3
