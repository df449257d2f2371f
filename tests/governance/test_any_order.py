"""Whatever people, time and crashes do, in whatever order: the laws hold.

Hypothesis drives proposals, decisions, edits, withdrawals, expiry, sends and crashes against the real database, and after every
step the far end's ledger and the books are compared.
"""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule, run_state_machine_as_test

from shared.events import Verdict
from spine import approvals, intents
from spine.db import Database
from spine.effects import Deferred
from spine.effects.ledger import idempotency_key
from spine.errors import ApprovalRefused, IllegalMove, NotYet, ProviderError
from spine.intents import MOVES, TERMINAL, IntentState
from tests.governance.support import WORKFLOW, Crash, Desk

ACTIONS = ("send_email", "crm_deal_update", "send_contract_for_signature")
PEOPLE = ("ana", "bob", "cleo")
REFUSALS = (ApprovalRefused, IllegalMove, NotYet, ProviderError, Crash)
NEVER_SENT = {"denied", "rejected", "expired", "superseded", "cancelled"}

# Who sent something must have had the approvals that the gate asked for: as many distinct people as needed, on exactly this
# digest, none of them the requester, spent once.
UNAPPROVED = """
select i.intent_id from intents i join effects e using (tenant_id, intent_id) left join approvals a using (tenant_id, intent_id)
where (a.approval_id is null and i.action <> 'crm_deal_update')
   or (a.approval_id is not null and (a.state <> 'consumed' or a.approvers_needed > (
        select count(distinct d.decided_by) from approval_decisions d
        where d.approval_id = a.approval_id and d.verdict = 'approve' and d.digest = e.digest and d.decided_by <> i.requested_by)))
"""
ILL_MATCHED = """
select i.intent_id, i.state, a.state from intents i join approvals a using (tenant_id, intent_id)
where (i.state, a.state) not in (
    ('awaiting_approval', 'pending'), ('runnable', 'approved'), ('executing', 'consumed'), ('unknown', 'consumed'),
    ('completed', 'consumed'), ('failed', 'consumed'), ('rejected', 'rejected'), ('expired', 'expired'),
    ('superseded', 'edited'), ('cancelled', 'cancelled'))
"""


class Governance(RuleBasedStateMachine):
    database: Database
    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.database)
        self.desk.contact()
        self.seen: dict[str, list[str]] = {}

    @rule(target=known, action=st.sampled_from(ACTIONS))
    def propose(self, action: str) -> str:
        return self.desk.propose(action).intent_id

    @rule(target=known, intent_id=known, verdict=st.sampled_from(Verdict), who=st.sampled_from(PEOPLE))
    def decide(self, intent_id: str, verdict: Verdict, who: str) -> Any:
        if (approval_id := self._approval_of(intent_id)) is None:
            return multiple()
        edited = {**self.desk.intent(intent_id).payload, "subject": f"by {who}"}
        with suppress(*REFUSALS):
            resolution = self.desk.decide(approval_id, who, verdict, edited_payload=edited if verdict is Verdict.EDIT else None)
            if resolution.successor is not None:
                return resolution.successor.intent_id
        return multiple()

    @rule(intent_id=known)
    def withdraw(self, intent_id: str) -> None:
        with suppress(*REFUSALS), self.desk.database.tenant(self.desk.tenant) as conn:
            intents.cancel(conn, tenant_id=self.desk.tenant, intent_id=intent_id, actor=WORKFLOW, reason="over", clock=self.desk.clock)

    @rule(intent_id=known)
    def expire(self, intent_id: str) -> None:
        if (approval_id := self._approval_of(intent_id)) is not None:
            with suppress(*REFUSALS), self.desk.database.tenant(self.desk.tenant) as conn:
                approvals.expire(conn, tenant_id=self.desk.tenant, approval_id=approval_id, actor=WORKFLOW, clock=self.desk.clock)

    @rule(hours=st.sampled_from([1, 9, 25]))
    def wait(self, hours: int) -> None:
        self.desk.clock.advance(hours=hours)

    @rule(
        intent_id=known,
        words=st.lists(st.sampled_from(["", "refuse", "unavailable", "lose_answer", "crash_before", "crash_after"]), max_size=2),
        find=st.lists(st.sampled_from(["", "unavailable"]), max_size=1),
    )
    def send(self, intent_id: str, words: list[str], find: list[str]) -> None:
        self.desk.provider.perform_script, self.desk.provider.find_script = list(words), list(find)
        with suppress(*REFUSALS):
            self.desk.execute(intent_id)

    @rule(intent_id=consumes(known))
    def send_until_it_is_over(self, intent_id: str) -> None:
        self.desk.provider.perform_script, self.desk.provider.find_script = [], []
        # What was begun and never got through waits like the first time, for quiet hours and for the cap of the week.
        while isinstance(outcome := self.desk.execute(intent_id), Deferred):
            assert outcome.not_before > self.desk.clock.at, "a wait ends later than now, or nobody would ever get through"
            self.desk.clock.at = outcome.not_before
        assert self.desk.state(intent_id) not in ("executing", "unknown")

    @invariant()
    def only_legal_moves_were_made(self) -> None:
        for row in self.desk.sql("select intent_id::text, state from intents"):
            path = self.seen.setdefault(row["intent_id"], [row["state"]])
            if path[-1] != row["state"]:
                assert _reachable(IntentState(path[-1]), IntentState(row["state"])), (path, row["state"])
                assert path[-1] not in TERMINAL
                path.append(row["state"])

    @invariant()
    def nothing_runs_that_was_stopped_and_everything_done_happened_once(self) -> None:
        far_end = self.desk.provider.happened
        for row in self.desk.sql("select intent_id::text from intents"):
            intent = self.desk.intent(row["intent_id"])
            happened = idempotency_key(intent) in far_end
            if intent.state in NEVER_SENT or intent.state.value in ("awaiting_approval", "runnable", "failed"):
                assert not happened, intent.state
            if intent.state is IntentState.COMPLETED:
                assert happened

    @invariant()
    def no_effect_without_its_approvals(self) -> None:
        assert self.desk.sql(UNAPPROVED) == []

    @invariant()
    def intent_and_approval_agree(self) -> None:
        assert self.desk.sql(ILL_MATCHED) == []

    def _approval_of(self, intent_id: str) -> str | None:
        found = self.desk.sql("select approval_id::text from approvals where intent_id = %s", intent_id)
        return found[0]["approval_id"] if found else None


def _reachable(before: IntentState, after: IntentState) -> bool:
    """One step of a test may be several moves."""
    found, frontier = {before}, {before}
    while frontier:
        frontier = {to for state in frontier for to in MOVES[state]} - found
        found |= frontier
    return after in found


# Short sequences find what long ones do and shrink in seconds; some long ones are for what needs many records at once.
@pytest.mark.parametrize(
    ("sequences", "steps"),
    [
        pytest.param(300, 8, id="300 short"),
        pytest.param(20, 25, id="20 long"),
        pytest.param(10_000, 10, id="10000 short", marks=[pytest.mark.long, pytest.mark.timeout(3 * 3600)]),
    ],
)
def test_the_laws_hold_in_any_order(shared_database: Database, sequences: int, steps: int) -> None:
    Governance.database = shared_database
    run_state_machine_as_test(
        Governance,
        settings=settings(max_examples=sequences, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)),
    )


def test_the_machine_would_notice_an_effect_without_approval(shared_database: Database) -> None:
    Governance.database = shared_database
    machine = Governance()
    intent_id = machine.propose("send_email")
    machine.desk.sql("update intents set state = 'runnable' where intent_id = %s", intent_id)
    with pytest.raises(AssertionError):
        machine.intent_and_approval_agree()
