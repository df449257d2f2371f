"""At the moment of sending everything is looked at again: what was judged, who agreed, and what forbids it now."""

from threading import Barrier, Thread
from typing import Any

import pytest

from spine import contacts
from spine.effects import Completed, Deferred, Failed, Outcome
from spine.errors import ProviderUnavailable
from spine.policy import PolicyTable, engage, release
from spine.policy.switches import Scope
from tests.governance.support import NOON, WORKER, Desk
from tests.governance.test_table import changed


def test_an_approval_serves_one_effect_only(desk: Desk) -> None:
    proposed = desk.runnable()
    desk.execute(proposed.intent_id)
    desk.sql("delete from messages_sent")
    desk.sql("update intents set state = 'runnable' where intent_id = %s", proposed.intent_id)
    assert desk.execute(proposed.intent_id) == Failed("not-approved", "1 people must approve exactly this, 0 did")
    assert desk.state(proposed.intent_id) == "cancelled"
    assert len(desk.provider.happened) == desk.provider.performed == 1


@pytest.mark.parametrize(
    "tampering",
    [
        'update intents set payload = payload || \'{"subject": "pay me"}\' where intent_id = %s',
        "update intents set digest = 'sha256:' || repeat('0', 64) where intent_id = %s",
        "update approvals set digest = 'sha256:' || repeat('0', 64) where intent_id = %s",
    ],
)
def test_a_payload_that_is_not_what_was_judged_never_runs_and_is_a_violation(desk: Desk, tampering: str) -> None:
    proposed = desk.runnable()
    desk.sql(tampering, proposed.intent_id)
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Failed)
    assert outcome.code == "digest-mismatch"
    assert (desk.state(proposed.intent_id), desk.provider.performed) == ("cancelled", 0)
    [violation] = desk.events("governance.policy_violation_detected")
    assert (violation["kind"], violation["severity"]) == ("digest-mismatch", "V3")


def test_payload_and_digest_changed_together_still_miss_the_decisions_that_cannot_be_changed(desk: Desk) -> None:
    proposed, other = desk.runnable(), desk.propose()
    for table in ("intents", "approvals"):
        desk.sql(
            f"update {table} set digest = (select digest from intents where intent_id = %s) where intent_id = %s",
            *(other.intent_id, proposed.intent_id),
        )
    desk.sql(
        "update intents set payload = (select payload from intents where intent_id = %s) where intent_id = %s",
        *(other.intent_id, proposed.intent_id),
    )
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.provider.performed) == ("not-approved", 0)


def test_an_intent_made_runnable_behind_the_gate_is_judged_at_the_door(desk: Desk) -> None:
    waiting = desk.propose()
    desk.sql("update intents set state = 'runnable' where intent_id = %s", waiting.intent_id)
    outcome = desk.execute(waiting.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.provider.performed, desk.state(waiting.intent_id)) == ("not-approved", 0, "cancelled")


def test_a_tampered_payload_is_not_sent_by_a_later_attempt_either(desk: Desk) -> None:
    desk.provider.perform_script = ["unavailable"]
    proposed = desk.runnable()
    with pytest.raises(ProviderUnavailable):
        desk.execute(proposed.intent_id)
    desk.sql('update intents set payload = payload || \'{"subject": "pay me"}\' where intent_id = %s', proposed.intent_id)
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.state(proposed.intent_id), len(desk.provider.happened)) == ("digest-mismatch", "failed", 0)


def test_an_opt_out_between_the_approval_and_the_send_stops_it(desk: Desk) -> None:
    proposed = desk.runnable()
    with desk.database.tenant(desk.tenant) as conn:
        contacts.opt_out(conn, tenant_id=desk.tenant, contact_id="contact/1", channel="email", source="link", now=NOON)
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.provider.performed) == ("opted-out", 0)
    assert (desk.state(proposed.intent_id), desk.approval(proposed.approval_id).state.value) == ("cancelled", "cancelled")


def test_approved_by_day_sent_by_night_waits_for_the_morning(desk: Desk) -> None:
    proposed = desk.runnable()
    desk.clock.advance(hours=10)  # 22:00 in Riyadh
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.not_before.isoformat()) == ("quiet-hours", "2026-11-23T05:00:00+00:00")
    assert (desk.state(proposed.intent_id), desk.intent(proposed.intent_id).not_before) == ("runnable", outcome.not_before)
    desk.clock.at = outcome.not_before
    assert isinstance(desk.execute(proposed.intent_id), Completed)


def test_the_third_message_of_a_week_waits_and_the_fifth_of_a_sequence_never_goes(desk: Desk) -> None:
    sequence = f"{desk.tenant}/outreach-sequence/one"
    for _ in range(2):
        assert isinstance(desk.execute(desk.runnable(workflow_id=sequence).intent_id), Completed)
    third = desk.runnable(workflow_id=sequence)
    outcome = desk.execute(third.intent_id)
    assert isinstance(outcome, Deferred)
    assert outcome.code == "weekly-cap"
    for _ in range(2):
        desk.clock.advance(days=8)
        assert isinstance(desk.execute(desk.runnable(workflow_id=sequence).intent_id), Completed)
    assert desk.propose(workflow_id=sequence).reasons[0].code == "follow-up-cap"


def test_two_sends_at_once_are_not_both_the_last_one_of_the_week(desk: Desk) -> None:
    desk.execute(desk.runnable().intent_id)
    ready, both, outcomes = [desk.runnable() for _ in range(2)], Barrier(2), list[Outcome]()

    def one(intent_id: str) -> None:
        both.wait()
        outcomes.append(desk.execute(intent_id))

    threads = [Thread(target=one, args=(proposed.intent_id,)) for proposed in ready]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Completed", "Deferred"]
    assert len(desk.provider.happened) == 2


def test_a_kill_switch_holds_what_is_runnable_and_loses_nothing(desk: Desk) -> None:
    proposed = desk.runnable()
    given: dict[str, Any] = {"tenant_id": desk.tenant, "scope": Scope.PLUGIN, "target": "email", "actor": WORKER, "now": NOON}
    with desk.database.tenant(desk.tenant) as conn:
        engage(conn, reason="drill", **given)
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Deferred)
    assert (outcome.code, desk.state(proposed.intent_id), desk.provider.performed) == ("kill-switch", "runnable", 0)
    with desk.database.tenant(desk.tenant) as conn:
        release(conn, **given)
    assert isinstance(desk.execute(proposed.intent_id), Completed)


def test_a_policy_that_changed_since_the_approval_is_not_the_one_it_was_given_under(desk: Desk) -> None:
    approved, allowed = desk.runnable(), desk.propose("crm_deal_update")
    desk.policy = PolicyTable.of(changed(lambda table: table["contact"].update(weekly_cap=1)))
    outcome = desk.execute(approved.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.state(approved.intent_id)) == ("policy-changed", "cancelled")
    assert isinstance(desk.execute(allowed.intent_id), Completed)  # allowed under today's policy too


def test_what_was_allowed_and_today_takes_people_is_not_run(desk: Desk) -> None:
    allowed = desk.propose("crm_deal_update")
    desk.policy = PolicyTable.of(changed(lambda table: table["actions"]["crm_deal_update"].update(action_class="B")))
    outcome = desk.execute(allowed.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.provider.performed) == ("policy-changed", 0)
