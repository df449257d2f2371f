"""What is wrong with a line of the policy table, by itself and beside the others. Every finding, not only the first.

Each is (field, reason): the field says which line of the file to show. The rules are those of domain.md §1.1 to §1.4 and §1.6.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence

from shared.events import ActionClass, ApprovalClass, ReversibilityClass, SensitivityClass, SideEffectClass, keys
from shared.events.classes import is_external, minimum_approval, rank
from spine.contacts import CHANNELS, PURPOSES
from spine.policy.functions import APPROVER, AUTHORITY, authority, missing_from
from spine.policy.rules import ActionRule, AmountTier, RatioTier, Requires, Tier

Found = tuple[str, str]
_TEMPLATE = re.compile(r"(?:[A-Za-z0-9._-]+|\{[a-z_]+\})(?::(?:[A-Za-z0-9._-]+|\{[a-z_]+\}))*")


def of_line(rule: ActionRule) -> Iterator[Found]:
    """What a line says against itself."""
    yield from _classes(rule)
    yield from _required(rule)
    yield from _people(rule)
    yield from _tiers(rule, rule.amount_tiers, rule.amount_field, "amount")
    yield from _tiers(rule, rule.ratio_tiers, rule.ratio_field, "ratio")
    yield from _payload(rule)
    yield from _key(rule)
    yield from _undoing(rule)


def of_table(actions: Mapping[str, ActionRule], approvers: Mapping[ApprovalClass, int]) -> Iterator[tuple[ActionRule, str, str]]:
    """What a line says against the others: too few people for its class, a compensation that undoes nothing."""
    for rule in actions.values():
        if rule.approvers < approvers[rule.approval]:
            yield rule, "approvers", f"{rule.approvers} approvers are fewer than its class {rule.approval.value} asks for"
        undo = actions.get(rule.compensation) if rule.compensation else None
        if rule.compensation and (undo is None or undo.undo_reference is None or undo.plugin != rule.plugin):
            yield rule, "compensation", f"its compensation {rule.compensation!r} is no undoing action of the same plugin"
        if rule.undo_reference is not None and not any(other.compensation == rule.action for other in actions.values()):
            yield rule, "undo_reference", "undoes something, but is nobody's compensation"


def _classes(rule: ActionRule) -> Iterator[Found]:
    below = rank(rule.approval) < rank(minimum_approval(rule.reversibility))
    external, automatic = is_external(rule.side_effect), rule.action_class is ActionClass.A
    if below and rule.reversibility is ReversibilityClass.R3:
        yield "approval", f"R3 cannot be undone and needs A3, not {rule.approval.value}"
    if below != (rule.below_minimum_because is not None) and rule.action_class is not ActionClass.C:
        minimum = minimum_approval(rule.reversibility).value
        yield (
            "approval",
            f"{rule.reversibility.value} asks for {minimum}; `below_minimum_because` says why less is enough, then and only then",
        )
    if automatic and external and rule.undo_reference is None:
        yield "side_effect", "class A leaves the company: make it B, or an undoing action"
    if automatic and (rank(rule.approval) > 0 or rule.never_automatic):
        yield (
            "action_class",
            "class A runs by itself, but an approval class above A0, or never_automatic, says that it must not",
        )
    if automatic and rule.sensitivity is SensitivityClass.S3:
        yield "sensitivity", "S3 data is class B at least"
    if automatic and (rule.amount_tiers or rule.ratio_tiers or rule.must_include):
        yield "action_class", "class A asks nobody: tiers and must_include belong to class B"
    if rule.action_class is ActionClass.C and rule.plugin is not None:
        yield "plugin", "a forbidden action has no connector"
    if external and rule.plugin is None and automatic:
        yield "side_effect", "an external effect needs the plugin that makes it"


def _required(rule: ActionRule) -> Iterator[Found]:
    if needs_bundle(rule) and rule.requires is not Requires.BUNDLE:
        yield "requires", f"class B that is A2 or above, R3 or an external commitment requires the bundle, not {rule.requires.value!r}"
    if rule.action_class is ActionClass.A and rule.requires is Requires.BUNDLE:
        yield "requires", "a bundle is for those who approve, and class A asks nobody"


def needs_bundle(rule: ActionRule) -> bool:
    """Class B work that commits the company or takes more than one manager (domain.md §1.7; docs/decisions/0041)."""
    high = rank(rule.approval) >= rank(ApprovalClass.A2) or rule.reversibility is ReversibilityClass.R3
    return rule.action_class is ActionClass.B and (high or rule.side_effect is SideEffectClass.EXTERNAL_COMMITMENT)


def _people(rule: ActionRule) -> Iterator[Found]:
    for field, roles in (("approver_roles", rule.approver_roles), ("must_include", rule.must_include)):
        yield from _roles(field, roles)
    if len(rule.must_include) > rule.approvers:
        yield "must_include", f"{len(rule.must_include)} functions must sign, but only {rule.approvers} people are asked"


def _roles(field: str, roles: Sequence[str]) -> Iterator[Found]:
    for role in roles:
        if role not in AUTHORITY:
            yield field, f"{role!r} is no known function; there are: {', '.join(AUTHORITY)}"
    if len(set(roles)) != len(roles):
        yield field, f"{field} names each function once"
    if field == "must_include" and APPROVER in roles:
        yield field, f"{APPROVER!r} is no function: must_include names functions of the directory"


def _tiers(rule: ActionRule, tiers: Sequence[AmountTier | RatioTier], judged: str | None, kind: str) -> Iterator[Found]:
    field = f"{kind}_tiers"
    if tiers and judged is None:
        yield field, f"{field} and {kind}_field go together: the tiers judge what the payload says"
    if kind == "ratio" and judged is not None and not tiers:
        yield "ratio_field", "ratio_field without ratio_tiers judges nothing"
    if len({tier.currency for tier in tiers if isinstance(tier, AmountTier)}) > 1:
        yield field, "all tiers of a line are in one currency: others count as above every tier"
    before: Tier = Tier.model_construct(approvers=max(rule.approvers, 0), roles=rule.approver_roles, must_include=rule.must_include)
    threshold = None
    for tier in tiers:
        at = f"the tier above {tier.above}"
        yield from _roles(field, tier.roles)
        if any(APPROVER in roles for roles in (tier.must_include,)) or set(tier.must_include) - set(AUTHORITY):
            yield field, f"{at}: must_include names known functions of the directory, not {', '.join(tier.must_include)}"
        if threshold is not None and tier.above <= threshold:
            yield field, f"{at} does not come after {threshold}: thresholds grow"
        if tier.approvers < before.approvers:
            yield field, f"{at} asks {tier.approvers} people, fewer than the {before.approvers} below it"
        roles = tier.roles or before.roles
        if authority(roles) < authority(before.roles):
            yield field, f"{at} is signed by {', '.join(roles)}, who have less authority than {', '.join(before.roles)} below it"
        if dropped := missing_from((*rule.must_include, *tier.must_include), before.must_include):
            yield field, f"{at} drops {', '.join(dropped)}, who must sign below it"
        if len({*rule.must_include, *tier.must_include}) > tier.approvers:
            yield field, f"{at}: more functions must sign than the {tier.approvers} people who are asked"
        before = Tier.model_construct(approvers=tier.approvers, roles=roles, must_include=tier.must_include)
        threshold = tier.above


def _payload(rule: ActionRule) -> Iterator[Found]:
    if (rule.channel is None) != (rule.purpose is None):
        yield "channel", "a channel and a purpose go together: consent is given for both"
    if rule.channel is not None and (rule.channel not in CHANNELS or rule.purpose not in PURPOSES):
        yield "channel", f"channel is one of {CHANNELS}, purpose one of {PURPOSES}"
    if rule.currency_field is not None and (rule.amount_field is None or rule.currency_field not in rule.fixed):
        yield "currency_field", "currency_field goes with an amount_field, and is fixed: an edit may not turn one currency into another"
    if "" in rule.fixed or len(set(rule.fixed)) != len(rule.fixed):
        yield "fixed", "fixed names fields of the payload, each once"
    if (rule.channel is not None or rule.address) and "contact_id" not in rule.fixed:
        yield "fixed", "it goes to a contact, so contact_id is fixed: an edit may not send it to somebody else"
    if rule.undo_reference is not None and rule.undo_reference not in rule.fixed:
        yield "fixed", "undo_reference is fixed: an edit may not undo something else"


def _key(rule: ActionRule) -> Iterator[Found]:
    touches = rule.side_effect is not SideEffectClass.NONE and rule.action_class is not ActionClass.C and not rule.unknown_to_table
    if rule.key is None:
        if touches:
            yield "side_effect", "what changes something has a `key`: what makes two proposals of it the same one"
        return
    if rule.key.isidentifier():
        recipe = getattr(keys, rule.key, None)
        if rule.key.startswith("_") or not inspect.isfunction(recipe) or recipe.__module__ != keys.__name__:
            yield "key", f"key {rule.key!r} is no recipe of shared.events.keys; a template has its fields in braces"
    elif not _TEMPLATE.fullmatch(rule.key):
        yield "key", f"key {rule.key!r} is neither a recipe of shared.events.keys nor a template such as '{{deal_id}}:{{step}}'"
    elif loose := [name for name in re.findall(r"\{([a-z_]+)\}", rule.key) if name not in rule.fixed]:
        yield "key", f"key names {', '.join(map(repr, loose))}, which is not in `fixed`: an edit would make it another key"


def _undoing(rule: ActionRule) -> Iterator[Found]:
    costly = rule.reversibility in (ReversibilityClass.R2, ReversibilityClass.R3)
    if rule.action_class is ActionClass.B and costly and not rule.unknown_to_table and not (rule.compensation or rule.undo):
        yield "reversibility", f"{rule.reversibility.value} says how it is undone: `compensation`, or `undo` in words"
