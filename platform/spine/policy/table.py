"""The policy table: what each action is, who must agree to it, and which connector carries it out.

`actions.yaml` holds the figures; its digest is the policy version that is stamped on every decision. Reading it is strict:
an unknown key, a duplicate, a wrong type or a contradiction between classes is a Misconfigured that names the action.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.events import ActionClass, ApprovalClass, ReversibilityClass, SensitivityClass, SideEffectClass
from shared.events.classes import is_external, minimum_approval, rank
from spine.canonical import digest
from spine.contacts import CHANNELS, PURPOSES, ContactRules
from spine.errors import Misconfigured

TABLE = Path(__file__).with_name("actions.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SlaHours(_Strict):
    """When people are reminded, when the promise is broken, when the next level is told, when the answer is no."""

    warn: timedelta = timedelta(hours=4)
    breach: timedelta = timedelta(hours=24)
    escalate: timedelta = timedelta(hours=48)
    expire: timedelta = timedelta(hours=48)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not timedelta(0) < self.warn <= self.breach <= self.escalate <= self.expire:
            raise ValueError("an SLA goes 0 < warn <= breach <= escalate <= expire")
        return self


class AmountLimit(_Strict):
    """Above `amount` of `currency`, `approvers` people must agree. Another currency, or no amount at all, counts as above."""

    amount: Annotated[Decimal, Field(gt=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    approvers: Annotated[int, Field(ge=1)]


class ActionRule(_Strict):
    """One line of the table. Classes: domain.md §1.1 to §1.4."""

    action: str
    action_class: ActionClass
    approval: ApprovalClass
    reversibility: ReversibilityClass
    sensitivity: SensitivityClass
    side_effect: SideEffectClass
    plugin: str | None = None
    """The connector that carries the action out; none: it changes nothing outside and needs no effect."""
    approvers: int = 0
    """Distinct people; from the class (A0 0, A1 1, A2 2, A3 2) unless the line asks for more."""
    approver_roles: tuple[str, ...] = ("approver",)
    evidence_required: bool = False
    never_automatic: bool = False
    high_stakes: bool = False
    """A confidence under the table's threshold, or none at all, brings a person in."""
    lawful_basis: str | None = None
    """For S3: on what the processing rests (PDPL, domain.md §10.3)."""
    amount_limit: AmountLimit | None = None
    amount_field: str | None = None
    """The payload field that holds the money: what is shown and judged by `amount_limit` is what runs, also after an edit."""
    currency_field: str | None = None
    """The payload field with the currency, when `amount_field` holds a bare decimal string instead of amount and currency."""
    fixed: tuple[str, ...] = ()
    """Payload fields that an edit may not change: whom it reaches and what it is about. Another one is another proposal."""
    channel: str | None = None
    purpose: str | None = None
    """With a channel, consent, quiet hours and caps of the contact named by payload["contact_id"] apply, and the message counts."""
    address: bool = False
    """The contact's address is put into the payload as `address`, inside the effect."""
    compensation: str | None = None
    """The action that undoes this one."""
    unknown_to_table: bool = False
    undo_reference: str | None = None
    """The payload field that names what is undone. Such an action runs by itself, though external, when it is proposed as the
    compensation of a completed intent and this field holds that intent's provider reference; otherwise a person is asked."""
    below_minimum_because: str | None = None
    """Why the approval asked for is lower than what the reversibility class asks for; never possible for R3."""
    sla: SlaHours = SlaHours()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if wrong := next(_contradictions(self), None):
            raise ValueError(f"action {self.action!r}: {wrong}")
        return self


class PolicyTable(_Strict):
    """All lines, with what they share. `version` changes with any figure in it."""

    approvers: Mapping[ApprovalClass, int]
    confidence_threshold: Annotated[Decimal, Field(ge=0, le=1)]
    notice_cooldown: timedelta
    """Between two notices about the same waiting approval."""
    contact: ContactRules
    unknown: ActionRule
    empty: ActionRule
    actions: Mapping[str, ActionRule]
    version: str = ""

    @classmethod
    def load(cls, path: Path | None = None, *, zone: str | None = None) -> Self:
        """Read a table, by default the one shipped; `zone` puts the quiet hours elsewhere, and changes the version.

        Raises Misconfigured, naming the file and the action at fault.
        """
        path = path or TABLE
        try:
            raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoDuplicates)
            if zone is not None:
                raw["contact"] = {**raw.get("contact", {}), "zone": zone}
            return cls.of(raw)
        except (OSError, yaml.YAMLError, TypeError, AttributeError, ValueError) as error:
            raise Misconfigured(f"policy table {str(path)!r} is not usable: {error}") from error

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """A table from plain data as in the file. Raises Misconfigured."""
        try:
            filled = {**raw, **{name: _filled("" if name == "empty" else name, raw[name], raw) for name in ("unknown", "empty")}}
            filled["actions"] = {name: _filled(name, line, raw) for name, line in raw["actions"].items()}
            table = cls.model_validate_json(json.dumps(filled))
        except ValidationError as error:
            found = error.errors(include_url=False)[0]
            raise Misconfigured(f"policy table: {'.'.join(map(str, found['loc']))}: {found['msg']}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise Misconfigured(f"policy table: {error!r}; it has 'approvers', 'unknown', 'empty' and 'actions'") from error
        return table.model_copy(update={"version": digest(table.model_dump(mode="json", exclude={"version"}))})

    def rule(self, action: str) -> ActionRule:
        """The line of an action; an empty name gets the forbidden one, an unknown name the one that asks (never class A)."""
        if not action.strip():
            return self.empty
        return self.actions.get(action) or self.unknown.model_copy(update={"action": action})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if set(self.approvers) != set(ApprovalClass):
            raise ValueError(f"approvers: say how many for each of {', '.join(ApprovalClass)}")
        counts = [self.approvers[level] for level in ApprovalClass]
        if counts[0] != 0 or counts[1] < 1 or counts != sorted(counts):
            raise ValueError("approvers: 0 for A0, at least 1 for A1, and never fewer for a higher class")
        if self.unknown.action_class is ActionClass.A or self.empty.action_class is not ActionClass.C:
            raise ValueError("an unknown action is never class A, an empty one is class C")
        for rule in self.actions.values():
            if rule.approvers < self.approvers[rule.approval]:
                raise ValueError(
                    f"action {rule.action!r}: {rule.approvers} approvers are fewer than its class {rule.approval.value} asks for"
                )
            undo = self.actions.get(rule.compensation) if rule.compensation else None
            if rule.compensation and (undo is None or undo.undo_reference is None or undo.plugin != rule.plugin):
                raise ValueError(f"action {rule.action!r}: its compensation {rule.compensation!r} is no undoing action of the same plugin")
        for rule in self.actions.values():
            if rule.undo_reference is not None and not any(other.compensation == rule.action for other in self.actions.values()):
                raise ValueError(f"action {rule.action!r}: undoes something, but is nobody's compensation")
        return self


def _filled(name: str, line: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    return {"approvers": raw["approvers"].get(line.get("approval"), 0), **line, "action": name}


def _contradictions(rule: ActionRule) -> Any:
    below = rank(rule.approval) < rank(minimum_approval(rule.reversibility))
    external = is_external(rule.side_effect)
    if below and rule.reversibility is ReversibilityClass.R3:
        yield f"R3 cannot be undone and needs A3, not {rule.approval.value}"
    if below != (rule.below_minimum_because is not None) and rule.action_class is not ActionClass.C:
        minimum = minimum_approval(rule.reversibility).value
        yield f"{rule.reversibility.value} asks for {minimum}; `below_minimum_because` says why less is enough, then and only then"
    if rule.action_class is ActionClass.A and external and rule.undo_reference is None:
        yield "class A leaves the company: make it B, or an undoing action"
    if rule.action_class is ActionClass.A and (rank(rule.approval) > 0 or rule.never_automatic):
        yield "class A runs by itself, but an approval class above A0, or never_automatic, says that it must not"
    if rule.action_class is ActionClass.A and rule.sensitivity is SensitivityClass.S3:
        yield "S3 data is class B at least"
    if rule.action_class is ActionClass.C and rule.plugin is not None:
        yield "a forbidden action has no connector"
    if external and rule.plugin is None and rule.action_class is ActionClass.A:
        yield "an external effect needs the plugin that makes it"
    if (rule.channel is None) != (rule.purpose is None):
        yield "a channel and a purpose go together: consent is given for both"
    if rule.channel is not None and (rule.channel not in CHANNELS or rule.purpose not in PURPOSES):
        yield f"channel is one of {CHANNELS}, purpose one of {PURPOSES}"
    if rule.amount_limit is not None and rule.amount_field is None:
        yield "amount_limit and amount_field go together: the limit judges what the payload says"
    if rule.currency_field is not None and (rule.amount_field is None or rule.currency_field not in rule.fixed):
        yield "currency_field goes with an amount_field, and is fixed: an edit may not turn one currency into another"
    if "" in rule.fixed or len(set(rule.fixed)) != len(rule.fixed):
        yield "fixed names fields of the payload, each once"
    if (rule.channel is not None or rule.address) and "contact_id" not in rule.fixed:
        yield "it goes to a contact, so contact_id is fixed: an edit may not send it to somebody else"
    if rule.undo_reference is not None and rule.undo_reference not in rule.fixed:
        yield "undo_reference is fixed: an edit may not undo something else"


class _NoDuplicates(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; here the second is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)
