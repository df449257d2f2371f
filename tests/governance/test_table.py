"""The policy table: strict to read, and consistent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.events import ActionClass, ApprovalClass, ReversibilityClass, SideEffectClass
from spine.errors import Misconfigured
from spine.policy import PolicyTable
from spine.policy.table import TABLE

SHIPPED = yaml.safe_load(TABLE.read_text(encoding="utf-8"))


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    change(table)
    return table


def test_the_shipped_table_loads_and_its_version_is_the_digest_of_its_content(tmp_path: Path) -> None:
    table = PolicyTable.load()
    assert table.version.startswith("sha256:")
    commented = tmp_path / "actions.yaml"
    commented.write_text("# a comment changes nothing\n" + TABLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert PolicyTable.load(commented).version == table.version
    dearer = PolicyTable.of(changed(lambda t: t["actions"]["send_email"].update(approvers=2)))
    assert dearer.version != table.version


def test_quiet_hours_in_another_zone_are_another_policy() -> None:
    assert PolicyTable.load(zone="Asia/Riyadh").version == PolicyTable.load().version
    assert PolicyTable.load(zone="Europe/Berlin").version != PolicyTable.load().version


def test_the_actions_of_the_slice_are_classed_as_decided() -> None:
    table = PolicyTable.load()
    contract, void = table.rule("send_contract_for_signature"), table.rule("void_envelope")
    assert (contract.approvers, contract.reversibility, contract.compensation) == (2, ReversibilityClass.R3, "void_envelope")
    assert (void.action_class, void.side_effect) == (ActionClass.A, SideEffectClass.EXTERNAL_COMMITMENT)
    assert (table.rule("send_email").approvers, table.rule("crm_deal_update").approvers) == (1, 0)


def test_an_unknown_action_asks_for_two_and_an_empty_one_is_forbidden() -> None:
    unknown, empty = PolicyTable.load().rule("launch_rocket"), PolicyTable.load().rule("  ")
    assert (unknown.action, unknown.action_class, unknown.approval, unknown.approvers) == (
        "launch_rocket",
        ActionClass.B,
        ApprovalClass.A2,
        2,
    )
    assert empty.action_class is ActionClass.C


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t["actions"]["send_email"].update(colour="red"), "send_email"),
        (lambda t: t["actions"]["send_email"].update(approval="A9"), "send_email"),
        (lambda t: t["actions"]["send_email"].update(address="yes"), "send_email"),
        (lambda t: t["actions"]["send_contract_for_signature"].update(approval="A2"), "R3 cannot be undone and needs A3"),
        (lambda t: t["actions"]["send_contract_for_signature"].update(approvers=1), "fewer than its class"),
        (lambda t: t["actions"]["send_email"].pop("below_minimum_because"), "below_minimum_because"),
        (lambda t: t["actions"]["notify_owner"].update(side_effect="external_message"), "class A leaves the company"),
        (lambda t: t["actions"]["notify_owner"].update(never_automatic=True), "never_automatic"),
        (lambda t: t["actions"]["notify_owner"].update(sensitivity="S3"), "S3 data is class B"),
        (lambda t: t["actions"]["bypass_auth"].update(plugin="email"), "no connector"),
        (lambda t: t["actions"]["send_email"].pop("purpose"), "a channel and a purpose go together"),
        (lambda t: t["actions"]["send_email"].update(channel="telepathy"), "channel is one of"),
        (lambda t: t["actions"]["crm_deal_create"].pop("amount_field"), "amount_tiers and amount_field"),
        (lambda t: t["actions"]["send_contract_for_signature"].pop("amount_field"), "currency_field goes with an amount_field"),
        (lambda t: t["actions"]["send_contract_for_signature"].update(fixed=["contact_id"]), "currency_field .* is fixed"),
        (lambda t: t["actions"]["send_email"].pop("fixed"), "send_email.*contact_id is fixed"),
        (lambda t: t["actions"]["send_email"].update(fixed=["contact_id", "contact_id"]), "each once"),
        (lambda t: t["actions"]["send_email"].update(fixed="contact_id"), "send_email': fixed"),
        (lambda t: t["actions"]["void_envelope"].update(fixed=["deal_id"]), "undo_reference is fixed"),
        (lambda t: t["actions"]["send_contract_for_signature"].update(compensation="notify_owner"), "no undoing action"),
        (lambda t: t["actions"]["send_contract_for_signature"].pop("compensation"), "nobody's compensation"),
        (lambda t: t["actions"]["send_email"].update(sla={"warn": "PT30H"}), "warn <= breach"),
        (lambda t: t["unknown"].update(action_class="A", approval="A0", reversibility="R0", side_effect="none"), "never class A"),
        (lambda t: t["approvers"].update(A2=0), "never fewer"),
        (lambda t: t["contact"].update(weekly_cap=0), "weekly_cap"),
        (lambda t: t.pop("unknown"), "unknown"),
        (lambda t: t["actions"].update(send_email=None), "policy table"),
    ],
)
def test_a_contradiction_in_the_table_is_refused_and_named(change: Callable[[dict[str, Any]], object], named: str) -> None:
    PolicyTable.of(SHIPPED)  # the change alone is at fault
    with pytest.raises(Misconfigured, match=named):
        PolicyTable.of(changed(change))


def test_an_action_given_twice_is_refused_where_yaml_would_keep_the_last(tmp_path: Path) -> None:
    twice = tmp_path / "actions.yaml"
    twice.write_text(TABLE.read_text(encoding="utf-8") + "  notify_owner: *own\n", encoding="utf-8")
    with pytest.raises(Misconfigured, match="'notify_owner' is given twice"):
        PolicyTable.load(twice)


def test_an_unreadable_table_is_named_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"missing\.yaml"):
        PolicyTable.load(tmp_path / "missing.yaml")
