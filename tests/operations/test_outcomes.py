"""A person declares what became of an unknown effect; nothing is sent, and whoever waits learns of it."""

from datetime import timedelta

import pytest

from shared.events import ActorType
from spine.audit import Actor
from spine.effects import Completed, Failed
from spine.effects.declare import declare_outcome
from spine.errors import Conflict, IllegalMove, InvalidInput, NotAllowed, NotFound, OutcomeUnknown
from spine.identity import Role
from spine.intents import Intent
from tests.cli.conftest import Spine, office, spine
from tests.gateway.conftest import Door, door, refused
from tests.governance.support import WORKFLOW, Desk

__all__ = ["door", "office", "refused", "spine"]
ADA = Actor(ActorType.HUMAN, "ada")


def unknown(desk: Desk, *, ago: timedelta = timedelta(minutes=10)) -> str:
    """Sent, the answer lost, and the provider cannot be asked."""
    intent_id = desk.runnable().intent_id
    desk.provider.perform_script, desk.provider.find_script = ["lose_answer"], ["refuse"] * 9
    with pytest.raises(OutcomeUnknown):
        desk.execute(intent_id)
    desk.clock.at += ago
    return intent_id


def declare(desk: Desk, intent_id: str, outcome: str = "completed", **changes: object) -> Intent:
    given = {"reason": "in the sent folder", "reference": "<m-1@mail>" if outcome == "completed" else None, "actor": ADA, **changes}
    with desk.database.tenant(desk.tenant) as conn:
        return declare_outcome(
            conn,
            tenant_id=desk.tenant,
            intent_id=intent_id,
            outcome=outcome,
            clock=desk.clock,
            **given,  # type: ignore[arg-type]
        )


def test_a_declared_effect_is_completed_and_the_next_attempt_learns_it_without_sending(desk: Desk) -> None:
    intent_id = unknown(desk)
    assert declare(desk, intent_id).state == "completed"
    sent = desk.provider.performed
    assert desk.execute(intent_id) == Completed("<m-1@mail>", reconciled=False)
    assert desk.provider.performed == sent
    assert [one["outcome"] for one in desk.events("effect.recorded")] == ["unknown", "completed"]
    [row] = desk.sql("select actor_id, severity, detail from audit_log where action = 'effect.outcome_declared'")
    assert (row["actor_id"], row["severity"], row["detail"]["why"]) == ("ada", "V1", "in the sent folder")


def test_a_declared_failure_ends_the_retries_and_is_no_message_of_the_week(desk: Desk) -> None:
    intent_id = unknown(desk)
    assert declare(desk, intent_id, "failed").state == "failed"
    assert isinstance(desk.execute(intent_id), Failed)
    assert desk.sql("select 1 from messages_sent where intent_id = %s", intent_id) == []


def test_declaring_the_same_again_changes_nothing_and_the_opposite_is_refused(desk: Desk) -> None:
    intent_id = unknown(desk)
    declare(desk, intent_id)
    assert declare(desk, intent_id).state == "completed"
    assert len(desk.sql("select 1 from audit_log where action = 'effect.outcome_declared'")) == 1
    with pytest.raises(IllegalMove, match="only an outcome that is unknown"):
        declare(desk, intent_id, "failed")


def test_what_is_not_unknown_cannot_be_declared(desk: Desk) -> None:
    with pytest.raises(IllegalMove, match="'runnable'"):
        declare(desk, desk.runnable().intent_id)


def test_an_attempt_that_may_be_under_way_a_blank_reason_and_a_program_are_refused(desk: Desk) -> None:
    fresh = unknown(desk, ago=timedelta(minutes=1))
    with pytest.raises(Conflict, match="may still be with the provider"):
        declare(desk, fresh)
    desk.clock.advance(minutes=5)
    with pytest.raises(InvalidInput, match="reason"):
        declare(desk, fresh, reason=" ")
    with pytest.raises(InvalidInput, match="reference"):
        declare(desk, fresh, reference=None)
    with pytest.raises(NotAllowed, match="people declare"):
        declare(desk, fresh, actor=WORKFLOW)
    assert desk.state(fresh) == "unknown"


def test_an_attempt_that_comes_back_late_writes_nothing_over_the_declaration(desk: Desk) -> None:
    intent_id = unknown(desk)
    token = desk.sql("select attempt_token from effects where intent_id = %s", intent_id)[0]["attempt_token"]
    declare(desk, intent_id, "failed")
    assert desk.sql("update effects set error = 'late' where attempt_token = %s returning 1", token) == []


def test_another_tenants_intent_is_not_found(desk: Desk) -> None:
    intent_id, other = unknown(desk), Desk(desk.database)
    with pytest.raises(NotFound):
        declare(other, intent_id)


def test_the_command_and_the_call_take_an_admin(spine: Spine, office: Door, door: Door, refused) -> None:  # type: ignore[no-untyped-def]
    desk = Desk(office.database, tenant="acme")
    desk.contact()
    first, second = unknown(desk), unknown(desk, ago=timedelta(minutes=10))
    told = ("--outcome", "failed", "--reason", "the provider's log has nothing")
    assert spine("intents", "settle", first, *told, person="olga", role=Role.OPERATOR).code == 5
    assert "is failed, as ada declared" in spine("intents", "settle", first, *told, person="ada", role=Role.ADMIN).out
    body = {"outcome": "completed", "reason": "found it", "reference": "<m-2@mail>"}
    refused(door.post(f"/v1/intents/{second}/outcome", body), 403, "not-allowed")
    done = door.post(f"/v1/intents/{second}/outcome", body, person="ada", role=Role.ADMIN, key="k-1")
    assert (done.status_code, done.json()["state"]) == (201, "completed")
    again = door.post(f"/v1/intents/{second}/outcome", body, person="ada", role=Role.ADMIN, key="k-1")
    assert again.headers["Idempotent-Replayed"] == "true"
