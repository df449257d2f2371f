"""The command line acts as the person whose key is set, on the same services as the gateway, and fails in one clear line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spine.cli import app
from spine.cli.acting import plain
from spine.db import Database
from spine.identity import Role
from spine.registry import Registry
from tests.cli.conftest import Spine
from tests.gateway.conftest import Door

REPLIED = {"lead_id": "L-1", "contact_id": "contact/globex", "channel": "email", "message_ref": "inbound-1"}


def test_a_fact_is_published_and_seen_in_the_tail_and_in_its_journey(spine: Spine, tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text(json.dumps(REPLIED))
    published = spine("events", "publish", "outreach.replied", "--data", str(file), "--correlation", "flow-1", "--json").json()
    assert published["type"] == "spine.outreach.replied.v1"
    spine("events", "publish", "outreach.replied", "--data", "-", given=json.dumps({**REPLIED, "lead_id": "L-2"}))
    tail = spine("events", "tail")
    assert ["L-1" in line for line in tail.out.splitlines()] == [True, False]
    (only,) = spine("events", "tail", "--correlation", "flow-1", "--json").out.splitlines()
    assert json.loads(only)["event"]["id"] == published["event_id"]
    journey = spine("journey", "flow-1")
    assert "outreach.replied of L-1" in journey.out
    assert "event.published by omar" in journey.out
    assert "event.published" not in spine("journey", "flow-1", "--no-audit").out
    assert len(journey.out.split("trace ")[1].split()[0]) == 32, "what a person does at the command line has a trace too"


def test_a_journey_says_how_its_commitment_ended(spine: Spine, office: Door) -> None:
    office.ended("signed")
    assert "workflow.ended of acme/contract-signature/D-1; signed" in spine("journey", "flow-1").out


@pytest.mark.parametrize(
    ("arguments", "given", "code", "says"),
    [
        (("events", "publish", "outreach.repied", "--data", "-"), json.dumps(REPLIED), 6, "did you mean 'outreach.replied'?"),
        (("events", "publish", "outreach.replied", "--data", "-"), json.dumps({**REPLIED, "channel": "pigeon"}), 6, "'channel'"),
        (("events", "publish", "outreach.replied", "--data", "-"), "{", 6, "standard input is not JSON"),
        (("events", "publish", "outreach.replied", "--data", "-"), "[]", 6, "not an object"),
        (("events", "publish", "outreach.replied", "--data", "/nowhere.json"), None, 6, "'/nowhere.json': No such file"),
        (("events", "publish", "approval.resolved", "--data", "-"), "{}", 5, "by the platform itself only"),
        (("events", "tail", "--type", "deal.one"), None, 6, "did you mean 'deal.won'?"),
        (("journey", "nothing"), None, 4, "'nothing'"),
        (("approvals", "show", "nope"), None, 4, "'nope'"),
        (("approvals", "approve", "nope"), None, 4, "'nope'"),
        (("intents", "show", "nope"), None, 4, "'nope'"),
        (("keys", "list"), None, 5, "takes 'admin'"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_cure_and_an_exit_code(
    spine: Spine, office: Door, arguments: tuple[str, ...], given: str | None, code: int, says: str
) -> None:
    done = spine(*arguments, given=given)
    assert (done.code, says in done.error) == (code, True), done
    assert "\n" not in done.error
    assert office.count("events") == 0


def test_a_command_line_that_is_wrong_is_2(spine: Spine) -> None:
    assert spine("events", "publish").code == 2
    assert spine("intents", "list", "--state", "perhaps").code == 2


def test_without_a_key_with_a_wrong_one_and_without_a_database_the_cure_is_said(
    spine: Spine, office: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = office.database.app_url
    nobody = spine("approvals", "list", person=None)
    assert (nobody.code, "SPINE_API_KEY is not set" in nobody.error) == (7, True)
    monkeypatch.setattr("spine.cli.acting.Settings.require", lambda _self, name: "sk.acme.key.wrong" if name == "api_key" else url)
    monkeypatch.setattr(
        "spine.cli.acting.Database.from_settings", lambda settings, max_size: Database(str(settings.database_url.get_secret_value()))
    )
    wrong = spine("approvals", "list")
    assert (wrong.code, "mistyped" in wrong.error) == (5, True)
    monkeypatch.setattr("spine.cli.acting.Database.from_settings", lambda settings, max_size: _nowhere())
    away = spine("approvals", "list")
    assert (away.code, "the database does not answer" in away.error) == (8, True)


def _nowhere() -> Database:
    database = Database("postgresql://spine_app@127.0.0.1:1/spine")
    database._app.timeout = 0.2
    return database


def test_a_message_is_looked_at_edited_and_thereby_approved(spine: Spine, office: Door) -> None:
    approval_id = office.message()
    listed = spine("approvals", "list")
    assert approval_id in listed.out
    assert "1 of 1" in listed.out
    assert [one["approval_id"] for one in spine("approvals", "list", "--json").json()["items"]] == [approval_id]
    shown = spine("approvals", "show", approval_id)
    assert "Shall we talk?" in shown.out
    assert "must sign    1 more (approver), not test-automation" in shown.out
    payload = spine("approvals", "show", approval_id, "--payload").json()
    edited = spine(
        "approvals", "edit", approval_id, "--payload", "-", "--reason", "we met", given=json.dumps({**payload, "subject": "Again"})
    )
    assert "is edited" in edited.out
    assert "revision 2" in edited.out
    (runnable,) = spine("intents", "list", "--state", "runnable", "--json").json()["items"]
    assert spine("intents", "show", runnable["intent_id"], "--json").json()["payload"]["subject"] == "Again"
    assert runnable["payload"] is None
    assert "nothing waits for anybody" in spine("approvals", "list").out


def test_the_rules_of_approval_hold_at_the_command_line_too(spine: Spine, office: Door) -> None:
    approval_id = office.statement()
    assert "1 more must approve" in spine("approvals", "approve", approval_id, "--reason", "fine").out
    again = spine("approvals", "approve", approval_id)
    assert (again.code, "has decided this approval already" in again.error) == (3, True)
    wrong = spine("approvals", "approve", approval_id, "--digest", "sha256:00", person="sara")
    assert (wrong.code, "look at it again" in wrong.error) == (3, True)
    edited = spine("approvals", "edit", approval_id, "--payload", "-", "--json", person="sara", given='{"text": "We are glad."}').json()
    own = spine("approvals", "approve", edited["successor"]["approval_id"], person="sara")
    assert (own.code, "'sara' asked for this and cannot approve it" in own.error) == (3, True)
    assert spine("approvals", "reject", edited["successor"]["approval_id"], person="vera").code == 2, "a reject says why"
    rejected = spine(
        "approvals",
        "reject",
        edited["successor"]["approval_id"],
        "--reason",
        "too early",
        person="vera",
    ).out
    assert "is rejected" in rejected
    assert office.count("intents", "state in ('runnable', 'awaiting_approval')") == 0


def test_a_viewer_sees_no_payload_and_decides_nothing(spine: Spine, office: Door) -> None:
    approval_id = office.message()
    shown = spine("approvals", "show", approval_id, person="vic", role=Role.VIEWER)
    assert (shown.code, "Shall we talk?" in shown.out) == (0, False)
    assert spine("approvals", "show", approval_id, "--payload", person="vic").code == 5
    assert spine("approvals", "approve", approval_id, person="vic").code == 5


def test_another_tenants_key_finds_nothing(spine: Spine, office: Door) -> None:
    approval_id = office.message(correlation_id="flow-1")
    assert spine("approvals", "show", approval_id, tenant="rival").code == 4
    assert spine("approvals", "approve", approval_id, tenant="rival").code == 4
    assert spine("journey", "flow-1", tenant="rival").code == 4
    assert spine("approvals", "list", "--json", tenant="rival").json() == {"items": [], "next": None}
    assert spine("events", "tail", "--json", tenant="rival").out == ""


def test_automations_are_listed_shown_and_checked_without_a_key(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = spine("automations", "list", "--json", person=None).json()
    assert ([one["name"] for one in listed["items"]], listed["next"]) == (["contract-signature", "thinking"], None)
    first = spine("automations", "list", "--limit", "1", "--json", person=None).json()
    second = spine("automations", "list", "--limit", "1", "--cursor", first["next"], "--json", person=None).json()
    assert ([one["name"] for one in (*first["items"], *second["items"])], second["next"]) == (["contract-signature", "thinking"], None)
    assert f"--cursor {first['next']}" in spine("automations", "list", "--limit", "1", person=None).out
    assert "cursor 'nonsense'" in spine("automations", "list", "--cursor", "nonsense", person=None).error
    assert "workflow contract-signature" in spine("automations", "list", person=None).out
    assert "deal.won" in spine("automations", "show", "contract-signature", person=None).out
    unknown = spine("automations", "show", "nope", person=None)
    assert (unknown.code, "there are: contract-signature, thinking" in unknown.error) == (4, True)
    checked = spine("automations", "check", person=None)
    assert (checked.code, "'crm_deal_update' is carried out by plugin 'crm'" in checked.out) == (1, True)
    monkeypatch.setattr(Registry, "load", lambda: Registry({}))
    assert spine("automations", "check", person=None).code == 0


def test_the_automations_that_ship_fit_together(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    done = CliRunner().invoke(app, ["automations", "check"])
    assert done.exit_code == 0, done.output


def test_keys_are_issued_listed_and_revoked_on_record(spine: Spine, office: Door) -> None:
    admin = {"person": "ada", "role": Role.ADMIN}
    issued = spine("keys", "issue", "--principal", "sara.ops", "--role", "operator", "--json", **admin).json()
    key_id = issued["key"].split(".")[2]
    assert [(k["principal_id"], k["role"]) for k in spine("keys", "list", "--json", **admin).json()] == [
        ("ada", "admin"),
        ("sara.ops", "operator"),
    ]
    assert "refused from now on" in spine("keys", "revoke", key_id, **admin).out
    assert spine("keys", "revoke", "nope", **admin).code == 4
    assert office.count("audit_log", "action in ('key.issued', 'key.revoked') and actor_id = 'ada'") == 2
    assert issued["key"].split(".")[3] not in spine("keys", "list", "--json", **admin).out
    assert spine("keys", "issue", "--principal", "a@b.example", "--role", "viewer", **admin).code == 6


def test_only_a_tenants_very_first_key_is_made_without_one(spine: Spine) -> None:
    first = {"person": None, "tenant": "fresh"}
    assert spine("keys", "issue", "--principal", "ada", "--role", "operator", **first).code == 5
    made = spine("keys", "issue", "--principal", "ada", "--role", "admin", **first)
    assert (made.code, made.out.startswith("sk.fresh.")) == (0, True)
    second = spine("keys", "issue", "--principal", "eve", "--role", "admin", **first)
    assert (second.code, "takes an admin's key" in second.error) == (5, True)


def test_what_comes_from_outside_cannot_colour_the_screen(spine: Spine) -> None:
    assert plain("a\x1b[31mb\u202ec") == "a�[31mb�c"
    spine("events", "publish", "outreach.replied", "--data", "-", given=json.dumps({**REPLIED, "lead_id": "[red]L-9[/red]"}))
    assert "[red]L-9[/red]" in spine("events", "tail").out
