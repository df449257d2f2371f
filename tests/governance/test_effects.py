"""From a runnable intent to the outside world: exactly once at the far end, through the connector that was judged."""

from decimal import Decimal
from threading import Barrier, Thread
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from shared.events import ActorType
from spine import budgets
from spine.audit import Actor
from spine.budgets.effects import reservation_of
from spine.effects import Completed, Deferred, Effects, Failed, NotRunnable, Outcome
from spine.errors import Misconfigured, NotAllowed, NotFound, OutcomeUnknown, ProviderUnavailable
from spine.intents import IntentState
from tests.governance.support import POLICY, WORKER, Crash, Desk, ScriptedConnector

ADA = Actor(ActorType.HUMAN, "ada")


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


def _limit(desk: Desk, money: str) -> None:
    named: dict[str, Any] = {"tenant_id": desk.tenant, "scope": budgets.Scope.TENANT_DAY, "actor": ADA, "now": desk.clock.now()}
    with desk.database.tenant(desk.tenant) as conn:
        budgets.set_limit(conn, **named, tokens=None, money=Decimal(money), currency="USD")


def test_money_that_was_given_back_between_two_attempts_is_asked_for_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one sent with nothing held, past any limit."""
    desk.provider.perform_script = ["unavailable"]
    intent_id = desk.runnable().intent_id
    with pytest.raises(ProviderUnavailable):
        desk.execute(intent_id)
    given = {"tenant_id": desk.tenant, "reservation_id": reservation_of(desk.tenant, intent_id)}
    with desk.database.tenant(desk.tenant) as conn:
        budgets.release(conn, **given, spent=False, actor=ADA, reason="it seemed dead", now=desk.clock.now())
    _limit(desk, "0.000001")
    waiting = desk.execute(intent_id)
    assert isinstance(waiting, Deferred)
    assert (waiting.code, desk.state(intent_id), desk.provider.performed) == ("budget-exhausted", "executing", 1)

    _limit(desk, "1")
    held, perform = [], desk.provider.perform

    def performing(tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        held.extend(row["state"] for row in desk.sql("select state from budget_reservations"))
        return perform(tenant_id, payload)

    monkeypatch.setattr(desk.provider, "perform", performing)
    assert isinstance(desk.execute(intent_id), Completed)
    assert (held, len(desk.provider.happened)) == (["held"], 1)


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
