"""From a runnable intent to the outside world: checked at the moment of sending, and exactly once at the far end."""

from threading import Barrier, Thread
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from shared.events import ActorType
from spine import contacts
from spine.audit import Actor
from spine.effects import Completed, Deferred, Effects, Failed, NotRunnable, Outcome
from spine.errors import IllegalMove, Misconfigured, NotAllowed, NotFound, OutcomeUnknown, ProviderUnavailable
from spine.intents import IntentState
from spine.policy import PolicyTable, engage, release
from spine.policy.switches import Scope
from tests.governance.support import NOON, POLICY, WORKER, Crash, Desk, ScriptedConnector
from tests.governance.test_table import changed


def effect(desk: Desk, intent_id: str) -> dict[str, Any]:
    [row] = desk.sql("select * from effects where intent_id = %s", intent_id)
    return row


def test_an_allowed_effect_reaches_the_provider_once_with_receipt_audit_and_event(desk: Desk) -> None:
    proposed = desk.runnable()
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Completed)
    assert desk.execute(proposed.intent_id) == outcome
    [asked] = desk.provider.happened.values()
    assert (asked["action"], asked["address"], asked["tenant"]) == ("send_email", "buyer@acme.example", desk.tenant)
    row = effect(desk, proposed.intent_id)
    assert (row["state"], row["attempts"], row["as_intended"], row["provider_reference"]) == ("completed", 1, True, outcome.reference)
    assert desk.approval(proposed.approval_id).state.value == "consumed"
    assert desk.audited(proposed.intent_id)[-2:] == ["intent.moved executing", "intent.moved completed"]
    [event] = desk.events("effect.recorded")
    assert (event["outcome"], event["provider_reference"]) == ("completed", outcome.reference)


def test_what_is_kept_of_it_holds_no_address(desk: Desk) -> None:
    proposed = desk.runnable()
    desk.execute(proposed.intent_id)
    for table in ("effects", "audit_log", "events", "intents", "approvals"):
        assert "buyer@acme.example" not in str(desk.sql(f"select * from {table}"))
    assert effect(desk, proposed.intent_id)["receipt"]["sent_to"] == "<address>"


def test_what_waits_or_was_denied_is_not_run(desk: Desk) -> None:
    waiting, denied = desk.propose(), desk.propose("bypass_auth")
    assert desk.execute(waiting.intent_id) == NotRunnable(IntentState.AWAITING_APPROVAL)
    assert desk.execute(denied.intent_id) == NotRunnable(IntentState.DENIED)
    assert desk.provider.performed == 0


def test_a_refusal_fails_the_intent_and_counts_as_no_message(desk: Desk) -> None:
    desk.provider.perform_script = ["refuse"]
    proposed = desk.runnable()
    refused = desk.execute(proposed.intent_id)
    assert refused == Failed("provider-refused", "no")
    assert desk.execute(proposed.intent_id) == refused
    assert (desk.state(proposed.intent_id), desk.provider.performed) == ("failed", 1)
    assert desk.sql("select 1 as n from messages_sent") == []
    assert [event["outcome"] for event in desk.events("effect.recorded")] == ["failed"]


def test_unavailable_is_raised_for_a_retry_which_asks_before_it_sends(desk: Desk) -> None:
    desk.provider.perform_script = ["unavailable"]
    proposed = desk.runnable()
    with pytest.raises(ProviderUnavailable):
        desk.execute(proposed.intent_id)
    assert (desk.state(proposed.intent_id), effect(desk, proposed.intent_id)["error_code"]) == ("executing", "provider-unavailable")
    assert isinstance(desk.execute(proposed.intent_id), Completed)
    assert (desk.provider.asked, desk.provider.performed, len(desk.provider.happened)) == (1, 2, 1)
    assert effect(desk, proposed.intent_id)["attempts"] == 2


def test_a_lost_answer_is_unknown_and_reconciled_by_asking_not_by_sending(desk: Desk) -> None:
    desk.provider.perform_script, desk.provider.find_script = ["lose_answer"], ["unavailable", "refuse"]
    proposed = desk.runnable()
    with pytest.raises(OutcomeUnknown):
        desk.execute(proposed.intent_id)
    assert (desk.state(proposed.intent_id), effect(desk, proposed.intent_id)["state"]) == ("unknown", "unknown")
    with pytest.raises(ProviderUnavailable):
        desk.execute(proposed.intent_id)
    with pytest.raises(OutcomeUnknown):
        desk.execute(proposed.intent_id)
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Completed)
    assert outcome.reconciled
    assert (desk.provider.performed, len(desk.provider.happened)) == (1, 1)
    assert effect(desk, proposed.intent_id)["reconciled"]
    assert [event["outcome"] for event in desk.events("effect.recorded")] == ["unknown", "completed"]


@pytest.mark.parametrize(("crash", "sends", "reconciled"), [("crash_before", 2, False), ("crash_after", 1, True)])
def test_a_crash_between_the_call_and_the_receipt_ends_with_one_effect(desk: Desk, crash: str, sends: int, reconciled: bool) -> None:
    desk.provider.perform_script = [crash]
    proposed = desk.runnable()
    with pytest.raises(Crash):
        desk.execute(proposed.intent_id)
    assert desk.state(proposed.intent_id) == "executing"
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Completed)
    assert (outcome.reconciled, desk.provider.performed, len(desk.provider.happened)) == (reconciled, sends, 1)
    assert len(desk.sql("select 1 as n from messages_sent")) == 1


def test_an_attempt_that_was_taken_over_writes_nothing_any_more(desk: Desk) -> None:
    proposed, meanwhile = desk.runnable(), list[Outcome]()

    class Slow(ScriptedConnector):
        """The first call is still on its way when a second attempt has come and gone."""

        def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
            self.performed += 1
            if self.performed > 1:
                return super().perform(tenant_id, payload)
            meanwhile.append(desk.execute(proposed.intent_id))
            return {"reference": "stale"}

    desk.provider = Slow()
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Completed)
    assert outcome == meanwhile[0]
    assert effect(desk, proposed.intent_id)["provider_reference"] == outcome.reference != "stale"


def test_many_calls_at_once_make_one_effect(desk: Desk) -> None:
    proposed, all_of_them, outcomes = desk.runnable(), Barrier(4), list[object]()

    def one() -> None:
        all_of_them.wait()
        try:
            outcomes.append(desk.execute(proposed.intent_id))
        except OutcomeUnknown:
            outcomes.append("ask again")

    threads = [Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert len(desk.provider.happened) == 1
    assert isinstance(desk.execute(proposed.intent_id), Completed)
    assert len(desk.sql("select 1 as n from approvals where state = 'consumed'")) == 1
    assert len([event for event in desk.events("effect.recorded") if event["outcome"] == "completed"]) == 1


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


def test_a_provider_that_reports_something_else_is_contradicted(desk: Desk) -> None:
    desk.provider.perform_script = ["lie"]
    proposed = desk.runnable()
    assert isinstance(desk.execute(proposed.intent_id), Completed)
    assert effect(desk, proposed.intent_id)["as_intended"] is False
    assert "effect.contradicted" in desk.audited(proposed.intent_id)
    [violation] = desk.events("governance.policy_violation_detected")
    assert (violation["kind"], "something else" in violation["detail"]) == ("contradicted-effect", False)


def test_an_observer_or_recommender_never_carries_anything_out(desk: Desk) -> None:
    proposed = desk.runnable()
    for kind in (ActorType.OBSERVER_AGENT, ActorType.RECOMMENDER_AGENT):
        with pytest.raises(NotAllowed, match="never carries anything out"):
            desk.effects.execute(desk.tenant, proposed.intent_id, actor=Actor(kind, "agent"))
    assert desk.state(proposed.intent_id) == "runnable"


def test_the_action_that_was_judged_selects_the_connector(desk: Desk) -> None:
    crm, email = ScriptedConnector(), ScriptedConnector()
    effects = Effects(desk.database, {"crm": crm, "email": email}, POLICY, desk.clock)
    proposed = desk.propose("crm_deal_update", payload={"plugin": "email", "task_type": "send_email"})
    effects.execute(desk.tenant, proposed.intent_id, actor=WORKER)
    assert (crm.performed, email.performed) == (1, 0)


def test_a_process_without_the_connector_says_so_and_leaves_the_intent_runnable(desk: Desk) -> None:
    proposed = desk.runnable()
    with pytest.raises(Misconfigured, match="no connector 'email', which action 'send_email' needs"):
        Effects(desk.database, {}, POLICY, desk.clock).execute(desk.tenant, proposed.intent_id, actor=WORKER)
    assert desk.state(proposed.intent_id) == "runnable"
    assert desk.approval(proposed.approval_id).state.value == "approved"


def test_a_connector_that_lacks_an_action_of_the_table_is_found_at_the_start(desk: Desk) -> None:
    actions = {name: model for name, model in ScriptedConnector().actions.items() if name != "void_envelope"}
    with pytest.raises(Misconfigured, match="'void_envelope' to plugin 'esign'"):
        Effects(desk.database, {"esign": ScriptedConnector(actions=actions)}, POLICY, desk.clock)


def test_a_payload_that_the_connector_cannot_read_is_stopped_before_anything_begins(desk: Desk) -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        contact_id: str

    desk.provider = ScriptedConnector(actions=dict.fromkeys(POLICY.actions, Strict))
    outcome = desk.execute(desk.runnable(payload={"contact_id": "contact/1", "sbject": "typo"}).intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, "sbject" in outcome.why, "typo" in outcome.why, desk.provider.performed) == ("invalid-input", True, False, 0)


def test_an_approved_action_that_nobody_can_carry_out_is_closed(desk: Desk) -> None:
    outcome = desk.execute(desk.runnable("crm_deal_create", payload={"value": {"amount": "5", "currency": "SAR"}}).intent_id)
    assert isinstance(outcome, Failed)
    assert outcome.code == "no-connector"


def test_a_contact_without_an_address_is_not_written_to(desk: Desk) -> None:
    proposed = desk.runnable()
    desk.sql("update contacts set email = null")
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.provider.performed) == ("no-address", 0)


def test_giving_up_settles_by_asking_and_never_sends(desk: Desk) -> None:
    reconcile = desk.effects.reconcile
    desk.provider.perform_script = ["unavailable", "lose_answer"]
    never, did, untouched = desk.runnable(), desk.propose("crm_deal_update"), desk.propose("crm_deal_update")
    with pytest.raises(ProviderUnavailable):
        desk.execute(never.intent_id)
    with pytest.raises(OutcomeUnknown):
        desk.execute(did.intent_id)
    assert isinstance(reconcile(desk.tenant, never.intent_id, actor=WORKER), Failed)
    assert isinstance(reconcile(desk.tenant, did.intent_id, actor=WORKER), Completed)
    assert reconcile(desk.tenant, untouched.intent_id, actor=WORKER) == NotRunnable(IntentState.RUNNABLE)
    assert (desk.provider.performed, desk.state(never.intent_id), desk.state(did.intent_id)) == (2, "failed", "completed")


def test_an_unknown_intent_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.execute("01890000-0000-7000-8000-000000000000")


def sent_contract(desk: Desk) -> tuple[str, str]:
    """A contract that went out: its intent, and the envelope."""
    proposed = desk.runnable("send_contract_for_signature", payload={"contact_id": "contact/1", "terms": "net 30"})
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Completed)
    return proposed.intent_id, outcome.reference or ""


def test_undoing_an_approved_commitment_runs_by_itself_and_closes_the_original(desk: Desk) -> None:
    original, envelope = sent_contract(desk)
    undo = desk.propose("void_envelope", payload={"envelope_id": envelope}, compensates=original)
    assert (undo.state, desk.state(original)) == (IntentState.RUNNABLE, "compensating")
    assert isinstance(desk.execute(undo.intent_id), Completed)
    assert (desk.state(undo.intent_id), desk.state(original)) == ("completed", "compensated")
    assert [event["outcome"] for event in desk.events("effect.recorded")] == ["completed", "completed", "compensated"]
    again = desk.execute(original)
    assert again == Completed(envelope)


def test_a_compensation_that_fails_is_told_of_the_original(desk: Desk) -> None:
    original, envelope = sent_contract(desk)
    undo = desk.propose("void_envelope", payload={"envelope_id": envelope}, compensates=original)
    desk.provider.perform_script = ["refuse"]
    assert isinstance(desk.execute(undo.intent_id), Failed)
    assert (desk.state(undo.intent_id), desk.state(original)) == ("failed", "compensation_failed")


def test_undoing_something_else_asks_a_person(desk: Desk) -> None:
    original, _envelope = sent_contract(desk)
    stray = desk.propose("void_envelope", payload={"envelope_id": "somebody-elses"}, compensates=original)
    assert (stray.state, stray.approvers_needed) == (IntentState.AWAITING_APPROVAL, 1)
    assert "not-an-undo" in {reason.code for reason in stray.reasons}
    bare = desk.propose("void_envelope", payload={"envelope_id": "x"})
    assert bare.state is IntentState.AWAITING_APPROVAL


def test_a_denied_compensation_leaves_the_original_marked_and_what_is_not_done_cannot_be_undone(desk: Desk) -> None:
    original, envelope = sent_contract(desk)
    denied = desk.propose("void_envelope", payload={"envelope_id": envelope}, compensates=original, correlation_id=None)
    assert (denied.state, desk.state(original)) == (IntentState.DENIED, "compensation_failed")
    waiting = desk.propose("send_contract_for_signature")
    with pytest.raises(IllegalMove, match="cannot become 'compensating'"):
        desk.propose("void_envelope", payload={"envelope_id": "x"}, compensates=waiting.intent_id)
