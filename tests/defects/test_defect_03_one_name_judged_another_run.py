"""Defect 3: policy judged `action`, the router ran `task_type`, and nothing tied the two: a harmless name carried a harmful task.

The cure: the name that selects the rule selects the connector and its branch, and a payload cannot bring another one.
"""

from typing import Any

import pytest

from spine.effects import Effects
from spine.errors import ApprovalRefused, InvalidInput, Misconfigured
from tests.governance.support import POLICY, Desk, ScriptedConnector


def test_the_name_that_was_judged_is_the_one_that_the_connector_is_given(desk: Desk) -> None:
    proposed = desk.propose("crm_deal_update", payload={"deal_id": "D1", "task_type": "send_contract_for_signature"})
    desk.execute(proposed.intent_id)
    [received] = desk.provider.happened.values()
    assert received["action"] == "crm_deal_update"


@pytest.mark.parametrize("smuggled", [{"action": "void_envelope"}, {"idempotency_key": "mine"}, {"address": "x@y.example"}])
def test_a_payload_cannot_name_another_action(desk: Desk, smuggled: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="fills in"):
        desk.propose("crm_deal_update", payload={"deal_id": "D1", **smuggled})


def test_a_row_whose_action_was_changed_after_the_approval_is_not_run(desk: Desk) -> None:
    proposed = desk.runnable("send_email")
    desk.sql("update intents set action = 'notify_owner' where intent_id = %s", proposed.intent_id)
    desk.sql("update intents set action = 'send_contract_for_signature' where intent_id = %s", proposed.intent_id)
    outcome = desk.execute(proposed.intent_id)
    assert type(outcome).__name__ == "Failed"
    assert desk.provider.happened == {}


def test_a_connector_that_does_not_know_an_action_which_policy_gives_it_stops_the_worker(desk: Desk) -> None:
    ignorant = ScriptedConnector(actions={"notify_owner": next(iter(ScriptedConnector().actions.values()))})
    with pytest.raises(Misconfigured, match="'send_email' to plugin 'email'"):
        Effects(desk.database, {"email": ignorant}, POLICY, desk.clock)


def test_an_edit_cannot_make_another_action_of_it(desk: Desk) -> None:
    from shared.events import Verdict

    proposed = desk.propose("send_email")
    with pytest.raises((InvalidInput, ApprovalRefused)):
        desk.decide(proposed.approval_id, "ana", Verdict.EDIT, edited_payload={"contact_id": "contact/1", "action": "nda_send"})
