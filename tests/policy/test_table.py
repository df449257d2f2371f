"""The shipped table says what the sources say, and what is wrong with one is told by file and line, all at once."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import ActionClass, ApprovalClass, ReversibilityClass, SensitivityClass
from shared.events.classes import rank
from spine.errors import Misconfigured
from spine.policy import ActionRule, AmountTier, PolicyTable, Requires
from spine.policy.contradictions import needs_bundle, of_line
from spine.policy.functions import AUTHORITY, authority, missing_from
from spine.policy.table import TABLE, findings_of

POLICY = PolicyTable.load()
CODE_LISTS = {
    ActionClass.A: "read_status collect_signals summarize classify tag internal_status_update research generate_draft plan "
    "predictive_analysis read_data search score draft",
    ActionClass.B: "send_whatsapp send_email send_linkedin trigger_voice_call sync_salesforce create_charge publish_content "
    "change_billing_state modify_lead_routing send_contract_for_signature video_generate music_generate create_contract bulk_send "
    "deal_commitment pricing_change",
    ActionClass.C: "exfiltrate_secrets delete_data_without_audit bypass_auth publish_without_approval destructive_unchecked "
    "delete_tenant drop_table export_all_data bypass_pdpl",
}
CLASSED = {
    "A0 R0 S2": "lead_intake enrichment_query proposal_generate_draft",
    "A0 R0 S1": "icp_match pain_extract qualification_questions sector_intel competitor_analysis market_research content_draft",
    "A1 R2 S2": "outreach_send followup_send",
    "A2 R2 S1": "content_publish",
    "A1 R1 S2": "booking_schedule crm_deal_create",
    "A0 R1 S2": "crm_contact_upsert",
    "A2 R2 S2": "proposal_send",
    "A2 R2 S3": "dataroom_access_grant",
    "A3 R3 S3": "pricing_offer_commit contract_change nda_send payment_terms_change regulator_communication sensitive_data_export "
    "employment_offer_send",
}
NEVER = (
    "pricing_offer_commit contract_change nda_send payment_terms_change regulator_communication sensitive_data_export "
    "market_facing_statement employment_offer_send"
)


@pytest.mark.parametrize(("kind", "names"), CODE_LISTS.items())
def test_the_code_lists_are_in_the_table_with_their_class(kind: ActionClass, names: str) -> None:
    assert {name: POLICY.actions[name].action_class for name in names.split()} == dict.fromkeys(names.split(), kind)


@pytest.mark.parametrize(("classes", "names"), CLASSED.items())
def test_the_classes_are_those_of_the_sources(classes: str, names: str) -> None:
    for name in names.split():
        rule = POLICY.actions[name]
        assert f"{rule.approval.value} {rule.reversibility.value} {rule.sensitivity.value}" == classes, name


def test_what_never_runs_by_itself_says_so() -> None:
    for name in NEVER.split():
        assert POLICY.actions[name].never_automatic, name


@pytest.mark.parametrize("rule", POLICY.actions.values(), ids=lambda rule: rule.action)
def test_every_line_holds_the_laws_of_the_classes(rule: ActionRule) -> None:
    assert list(of_line(rule)) == []
    if rule.reversibility is ReversibilityClass.R3:
        assert rule.approval is ApprovalClass.A3
    if rule.sensitivity is SensitivityClass.S3:
        assert rule.action_class is not ActionClass.A
    if needs_bundle(rule):
        assert rule.requires is Requires.BUNDLE
    if rule.action_class is ActionClass.B and rule.plugin is None and rule.action != "crm_deal_create":
        assert rule.approver_roles != ("approver",), "without a connector a function is named"


def test_the_functions_that_sign_are_known_and_ordered() -> None:
    assert authority(["board"]) > authority(["executive", "board"]) > authority(["vp", "board"]) > authority(["approver"])
    assert missing_from(["board"], ["executive"]) == []
    assert missing_from(["board"], ["legal"]) == ["legal"], "nobody stands in for what legal knows"
    assert set(AUTHORITY) >= {"manager", "head", "director", "vp", "legal", "finance", "executive", "board"}


# What is wrong with a table


def written(tmp_path: Path, change: Callable[[str], str]) -> Path:
    copy = tmp_path / "actions.yaml"
    before = TABLE.read_text(encoding="utf-8")
    after = change(before)
    assert after != before, "the change hit nothing"
    copy.write_text(after, encoding="utf-8")
    return copy


def line_of(path: Path, text: str) -> int:
    return 1 + next(number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()) if text in line)


def test_all_findings_are_told_at_once_each_with_file_line_and_reason(tmp_path: Path) -> None:
    def change(text: str) -> str:
        text = text.replace("  notify_owner:\n", "  notify_owner:\n    colour: red\n")
        text = text.replace("    compensation: void_envelope\n", "    compensation: crm_deal_update\n")
        text = text.replace("integration_add: {<<: *managed,", "integration_add: {<<: *managed, must_include: [janitor],")
        return text.replace("  weekly_cap: 2", "  weekly_cap: two").replace("  tag: *own\n", "  tag: *own\n  tag: *own\n")

    path = written(tmp_path, change)
    found = [str(one) for one in findings_of(path)]
    wanted = [
        f"actions.yaml:{line_of(path, 'colour: red')}: action 'notify_owner': colour: Extra inputs are not permitted",
        f"actions.yaml:{line_of(path, 'compensation: crm_deal_update')}: action 'send_contract_for_signature': "
        "its compensation 'crm_deal_update' is no undoing action of the same plugin",
        f"actions.yaml:{line_of(path, '  tag: *own') + 1}: 'tag' is given twice, first in line {line_of(path, '  tag: *own')}",
    ]
    for one in wanted:
        assert one in found
    assert any(one.startswith(f"actions.yaml:{line_of(path, 'weekly_cap')}: contact.weekly_cap") for one in found)
    assert any(one.startswith(f"actions.yaml:{line_of(path, 'integration_add')}: ") and "'janitor' is no known" in one for one in found)
    with pytest.raises(Misconfigured) as refused:
        PolicyTable.load(path)
    assert all(one in str(refused.value) for one in wanted)


FIVE_MILLION = '{above: "5000000", currency: SAR, approvers: 3, roles: *board'
HALF_A_MILLION = '{above: "500000", currency: SAR, approvers: 2, roles: *director_up, must_include: [manager]}'
HEADED = "    requires: bundle\n    approver_roles: *head_up\n    key: workflow_step"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (FIVE_MILLION, FIVE_MILLION.replace("5000000", "500"), "thresholds grow"),
        (FIVE_MILLION, FIVE_MILLION.replace("SAR", "USD"), "one currency"),
        (HALF_A_MILLION, '{above: "500000", currency: SAR, approvers: 1}', "fewer than the 2"),
        (HALF_A_MILLION, HALF_A_MILLION.replace(", must_include: [manager]", ""), "drops manager"),
        ('{above: "0.25", approvers: 2, roles: *vp_up}', '{above: "0.25", approvers: 2, roles: *manager_up}', "less authority"),
        ('key: "{deal_id}:proposal"', 'key: "{lead_id}:proposal"', "'lead_id', which is not in `fixed`"),
        ('key: "{deal_id}:proposal"', "key: per_planet", "no recipe of shared.events.keys"),
        ('key: "{deal_id}:proposal"', 'key: "{deal_id} proposal"', "neither a recipe"),
        (HEADED, HEADED.replace("bundle", "evidence"), "requires the bundle, not 'evidence'"),
        ("approval: A3", "approval: [A3]", "approval: Input should be 'A0', 'A1', 'A2' or 'A3'"),
        ("zone: Asia/Riyadh", "zone: Mars/Phobos", "'Mars/Phobos' is no time zone"),
        ("notice_cooldown: PT45M", "notice_cooldown: -PT45M", "notice_cooldown: Input should be greater than or equal to 0"),
        ("    undo: withdraw the proposal in writing before it is accepted\n", "    undo: null\n", "says how it is undone"),
    ],
)
def test_what_would_weaken_a_line_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = written(tmp_path, lambda text: text.replace(old, new))
    assert any(says in one.reason for one in findings_of(path)), [str(one) for one in findings_of(path)]


TWELVE = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 12)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "a: [", "approvers: {A0: 0}", "a: " + "[" * 5000 + "]" * 5000, "a: &a [*a]", "&a {actions: *a, unknown: *a}",
        "confidence_threshold: " + "9" * 5000, "z: 2001-02-30", "b0: &b0 [x]\n" + TWELVE,
    ],
    ids=["nothing", "list", "no end", "few fields", "deep", "itself", "itself in a mapping", "digits", "no day", "aliases of aliases"],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured, match=r"other\.yaml"):
        PolicyTable.load(path)


tiers = st.lists(
    st.builds(
        lambda above, approvers, roles, must: AmountTier(
            above=Decimal(above), currency="SAR", approvers=approvers, roles=roles, must_include=must
        ),
        st.integers(1, 9),
        st.integers(1, 4),
        st.lists(st.sampled_from(sorted(AUTHORITY)), max_size=2, unique=True).map(tuple),
        st.lists(st.sampled_from(sorted(set(AUTHORITY) - {"approver"})), max_size=2, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=3,
)


@given(tiers)
def test_tiers_that_are_let_through_never_ask_less_for_more(given_tiers: list[AmountTier]) -> None:
    base = POLICY.rule("crm_deal_create")
    rule = base.model_copy(update={"amount_tiers": tuple(given_tiers)})
    if list(of_line(rule)):
        return
    people, roles, above = base.approvers, base.approver_roles, Decimal(-1)
    for tier in given_tiers:
        assert tier.above > above
        assert tier.approvers >= people
        assert authority(tier.roles or roles) >= authority(roles)
        people, roles, above = tier.approvers, tier.roles or roles, tier.above


def test_a_higher_approval_class_takes_no_lower_function() -> None:
    asked = [rule for rule in POLICY.actions.values() if rule.approvers and rule.approver_roles != ("approver",)]
    levels = sorted({rule.approval for rule in asked}, key=rank)
    least = [min(authority(rule.approver_roles) for rule in asked if rule.approval is level) for level in levels]
    assert least == sorted(least)
