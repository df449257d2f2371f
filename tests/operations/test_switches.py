"""Kill switches: what they stop at once, what they leave alone, and who may."""

from threading import Thread
from typing import Any

import pytest

from shared.events import ActorType
from spine.audit import Actor
from spine.effects import Completed, Deferred, ledger
from spine.errors import InvalidInput
from spine.identity import Role
from spine.policy import switches
from spine.policy.switches import Scope
from tests.cli.conftest import Spine, office, spine
from tests.gateway.conftest import Door, door, refused
from tests.governance.support import Desk

__all__ = ["door", "office", "refused", "spine"]
OLGA = Actor(ActorType.HUMAN, "olga")


def engage(desk: Desk, scope: Scope, target: str, reason: str = "bounces") -> bool:
    with desk.database.tenant(desk.tenant) as conn:
        return switches.engage(
            conn, tenant_id=desk.tenant, scope=scope, target=target or desk.tenant, reason=reason, actor=OLGA, now=desk.clock.now()
        )


def release(desk: Desk, scope: Scope, target: str) -> bool:
    with desk.database.tenant(desk.tenant) as conn:
        return switches.release(
            conn, tenant_id=desk.tenant, scope=scope, target=target or desk.tenant, reason="mended", actor=OLGA, now=desk.clock.now()
        )


SCOPES = [(Scope.TENANT, ""), (Scope.AUTOMATION, "outreach-sequence"), (Scope.ACTION, "send_email"), (Scope.PLUGIN, "email")]


@pytest.mark.parametrize(("scope", "target"), SCOPES)
def test_what_is_approved_and_runnable_waits_and_goes_on_after_the_release(desk: Desk, scope: Scope, target: str) -> None:
    proposed = desk.runnable()
    assert engage(desk, scope, target)
    held = desk.execute(proposed.intent_id)
    assert isinstance(held, Deferred)
    assert (held.code, desk.provider.performed) == ("kill-switch", 0)
    assert (desk.state(proposed.intent_id), desk.approval(proposed.approval_id).state) == ("runnable", "approved")
    assert release(desk, scope, target)
    assert isinstance(desk.execute(proposed.intent_id), Completed)
    assert desk.provider.performed == 1


@pytest.mark.parametrize(("scope", "target"), SCOPES)
def test_what_is_proposed_meanwhile_is_denied(desk: Desk, scope: Scope, target: str) -> None:
    engage(desk, scope, target)
    denied = desk.propose()
    assert (denied.state, denied.reasons[0].code) == ("denied", "kill-switch")


def test_what_waits_for_people_is_left_to_them(desk: Desk) -> None:
    asked = desk.propose()
    engage(desk, Scope.TENANT, "")
    desk.decide(asked.approval_id, "ana")
    assert desk.state(asked.intent_id) == "runnable"


def test_an_attempt_whose_answer_was_lost_is_not_sent_again_under_the_switch(desk: Desk) -> None:
    proposed = desk.runnable()
    desk.provider.perform_script = ["unavailable"]
    with pytest.raises(Exception, match="busy"):
        desk.execute(proposed.intent_id)
    engage(desk, Scope.PLUGIN, "email")
    assert isinstance(desk.execute(proposed.intent_id), Deferred)
    assert desk.provider.happened == {}
    release(desk, Scope.PLUGIN, "email")
    assert isinstance(desk.execute(proposed.intent_id), Completed)


def test_nothing_begins_after_a_switch_was_engaged_that_looked_before(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The effect has looked at the switches and has not begun: whoever engages one now is told so only when it has."""
    proposed, open_line = desk.runnable(), ledger.open_line
    engaging = Thread(target=engage, args=(desk, Scope.TENANT, ""))
    engaged_between: list[bool] = []

    def slowly(*given: Any) -> Any:
        engaging.start()
        engaging.join(0.5)
        engaged_between.append(not engaging.is_alive())
        return open_line(*given)

    monkeypatch.setattr(ledger, "open_line", slowly)
    assert isinstance(desk.execute(proposed.intent_id), Completed)
    engaging.join(10)
    assert engaged_between == [False]
    assert not engage(desk, Scope.TENANT, ""), "it is engaged"


def test_another_automation_and_another_tenant_are_not_touched(desk: Desk) -> None:
    other = Desk(desk.database)
    other.contact()
    engage(desk, Scope.AUTOMATION, "contract-signature")
    engage(other, Scope.TENANT, "")
    assert isinstance(desk.execute(desk.runnable().intent_id), Completed)


def test_it_is_said_once_audited_and_an_event(desk: Desk) -> None:
    assert engage(desk, Scope.ACTION, "send_email", "bounces of buyer@acme.example")
    assert not engage(desk, Scope.ACTION, "send_email", "another reason")
    [stands] = desk.sql("select reason from kill_switches")
    assert stands["reason"].startswith("bounces of [")
    assert release(desk, Scope.ACTION, "send_email")
    assert not release(desk, Scope.ACTION, "send_email")
    assert [one["engaged_by"] for one in desk.events("governance.kill_switch_engaged")] == ["olga"]
    assert [one["reason"] for one in desk.events("governance.kill_switch_released")] == ["mended"]
    rows = desk.sql("select action, severity from audit_log where subject_type = 'kill_switch' order by position")
    assert [(row["action"], row["severity"]) for row in rows] == [("kill_switch.engaged", "V1"), ("kill_switch.released", "V1")]
    with pytest.raises(InvalidInput, match="reason"):
        engage(desk, Scope.ACTION, "send_email", " ")


def test_an_operator_stops_at_the_command_line_and_an_admin_lets_go_on(spine: Spine, office: Door) -> None:
    stop = ("switches", "engage", "action", "send_email", "--reason", "bounces")
    assert spine(*stop, person="vic", role=Role.VIEWER).code == 5
    assert "is stopped" in spine(*stop, person="olga", role=Role.OPERATOR).out
    assert "was stopped already, by olga" in spine(*stop, person="omar").out
    assert spine("switches", "engage", "tenant", "--reason", "all of it", person="olga", role=Role.OPERATOR).code == 0
    listed = spine("switches", "list", "--json").json()
    assert {(one["scope"], one["target"]) for one in listed} == {("action", "send_email"), ("tenant", "acme")}
    assert spine("switches", "list", "--json", tenant="rival").json() == []
    let = ("switches", "release", "action", "send_email", "--reason", "mended")
    assert spine(*let, person="olga", role=Role.OPERATOR).code == 5
    assert "goes on" in spine(*let, person="ada", role=Role.ADMIN).out
    assert "was not stopped" in spine(*let, person="ada", role=Role.ADMIN).out


def test_a_switch_on_what_there_is_not_is_refused_and_names_what_there_is(spine: Spine, office: Door) -> None:
    mistyped = spine("switches", "engage", "action", "send_emial", "--reason", "bounces")
    assert (mistyped.code, "send_email" in mistyped.error) == (6, True)
    assert "contract-signature" in spine("switches", "engage", "automation", "outreach", "--reason", "x").error
    assert spine("switches", "engage", "tenant", "rival", "--reason", "x").code == 6


def test_over_http_likewise_and_a_repeated_call_has_one_answer(door: Door, refused) -> None:  # type: ignore[no-untyped-def]
    body = {"scope": "plugin", "target": "email", "reason": "bounces"}
    refused(door.post("/v1/kill-switches", body, person="vic", role=Role.VIEWER), 403, "not-allowed")
    refused(door.post("/v1/kill-switches", {**body, "reason": ""}, person="olga", role=Role.OPERATOR), 422, "schema-violation", "reason")
    refused(door.post("/v1/kill-switches", {**body, "target": "fax"}, person="olga", role=Role.OPERATOR), 400, "invalid-input", "email")
    first = door.post("/v1/kill-switches", body, person="olga", role=Role.OPERATOR, key="k1")
    again = door.post("/v1/kill-switches", body, person="olga", role=Role.OPERATOR, key="k1")
    assert (first.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (201, first.json(), "true")
    assert door.count("audit_log", "action = 'kill_switch.engaged'") == 1
    assert [one["target"] for one in door.get("/v1/kill-switches").json()["items"]] == ["email"]
    assert door.get("/v1/kill-switches", tenant="rival").json()["items"] == []

    def delete(person: str, role: Role, **headers: str):  # type: ignore[no-untyped-def]
        headers["Authorization"] = f"Bearer {door.key(person, role=role)}"
        return door.client.delete("/v1/kill-switches/plugin/email?reason=mended", headers=headers)

    refused(delete("ada", Role.ADMIN), 400, "invalid-input", "Idempotency-Key")
    refused(delete("olga", Role.OPERATOR, **{"Idempotency-Key": "k2"}), 403, "not-allowed")
    assert delete("ada", Role.ADMIN, **{"Idempotency-Key": "k3"}).json()["released"] is True
    assert door.get("/v1/kill-switches").json()["items"] == []
