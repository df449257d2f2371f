"""Defect 8: whatever was missing counted as a yes: no QA answer, no consent record, no key, no canary list.

The cure: the default of every fact is the safe one, and what cannot be read is refused. An empty canary list is nobody.
"""

from pathlib import Path

import pytest

from shared.events import ActionClass
from spine.db import Database
from spine.errors import Misconfigured, TenantMismatch
from spine.policy import Allow, Canary, Deny, Facts, PolicyTable, Subject, canary, decide
from spine.policy.canary import Group, judged
from spine.policy.table import TABLE
from tests.governance.support import NOON, Desk

POLICY = PolicyTable.load()


@pytest.mark.parametrize("action", [*POLICY.actions, "launch_rocket", ""])
def test_a_gate_that_nobody_told_anything_allows_nothing(action: str) -> None:
    rule = POLICY.rule(action)
    subject = Subject(
        tenant_id="acme",
        automation="a",
        action=action,
        rule=rule,
        approval=rule.approval,
        reversibility=rule.reversibility,
        sensitivity=rule.sensitivity,
        side_effect=rule.side_effect,
    )
    assert isinstance(decide(subject, Facts(tenant_id="acme")), Deny)
    assert not isinstance(decide(subject, Facts(tenant_id="acme", effects_allowed=frozenset({action}))), Allow)


def test_an_empty_canary_list_is_nobody_where_it_was_everybody() -> None:
    assert judged(Group(automation="a", tenants=()), "acme", NOON) is Canary.OUTSIDE


def test_an_empty_list_makes_even_harmless_work_wait(desk: Desk) -> None:
    from shared.events import ActorType
    from spine.audit import Actor

    with desk.database.relay() as conn:
        group = Group(automation="defect-8", tenants=())
        canary.put(conn, group, tenant_id=desk.tenant, actor=Actor(ActorType.HUMAN, "ana"), now=NOON)
    assert desk.propose("crm_deal_update", automation="defect-8").reasons[0].code == "outside-canary"


def test_no_consent_on_record_is_no(desk: Desk) -> None:
    desk.contact("contact/2", consent=False)
    assert desk.propose(payload={"contact_id": "contact/2", "subject": "Hello"}).reasons[0].code == "no-consent"
    assert desk.propose(payload={"subject": "to nobody"}).reasons[0].code == "no-consent"


def test_a_table_that_cannot_be_read_is_no_table(tmp_path: Path) -> None:
    half = tmp_path / "actions.yaml"
    half.write_text(TABLE.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    with pytest.raises(Misconfigured):
        PolicyTable.load(half)


def test_no_tenant_is_nobodys_transaction(desk: Desk) -> None:
    database: Database = desk.database
    with pytest.raises(TenantMismatch), database.tenant(" "):
        pass


def test_an_unknown_action_is_never_automatic() -> None:
    assert POLICY.rule("launch_rocket").action_class is ActionClass.B
