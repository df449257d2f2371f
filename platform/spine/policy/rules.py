"""One line of the policy table: what an action is, who must agree to it, what has to be on the table first.

Only shapes are here; whether a line contradicts itself or others is `contradictions`, and reading the file is `table`.
"""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.events import ActionClass, ApprovalClass, ReversibilityClass, SensitivityClass, SideEffectClass


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Requires(StrEnum):
    """What a proposal has to bring before anybody is asked. `bundle` holds the evidence too (shared.events.records.ClassBBundle)."""

    NOTHING = "nothing"
    EVIDENCE = "evidence"
    BUNDLE = "bundle"


class SlaHours(Strict):
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


class Tier(Strict):
    """Above a threshold, so many people, of these roles. A value that is missing or not comparable counts as above every tier."""

    approvers: Annotated[int, Field(ge=1)]
    roles: tuple[str, ...] = ()
    """Any one of them may sign; empty: those of the line."""
    must_include: tuple[str, ...] = ()
    """Functions each of which must be among those who signed, beside the line's own."""


class AmountTier(Tier):
    above: Annotated[Decimal, Field(ge=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class RatioTier(Tier):
    above: Annotated[Decimal, Field(ge=0, lt=1)]
    """A share of one, such as 0.10 for a discount of ten per cent."""


class ActionRule(Strict):
    """One line of the table. Classes: domain.md §1.1 to §1.4."""

    action: str
    action_class: ActionClass
    approval: ApprovalClass
    reversibility: ReversibilityClass
    sensitivity: SensitivityClass
    side_effect: SideEffectClass
    plugin: str | None = None
    """The connector that carries the action out; none: it changes nothing outside and needs no effect."""
    requires: Requires = Requires.NOTHING
    approvers: int = 0
    """Distinct people; from the class (A0 0, A1 1, A2 2, A3 2) unless the line asks for more."""
    approver_roles: Annotated[tuple[str, ...], Field(min_length=1)] = ("approver",)
    """Any one of them may sign: functions of the approver directory, or `approver`, which is any key of that role or above."""
    must_include: tuple[str, ...] = ()
    """Functions each of which must be among those who signed."""
    never_automatic: bool = False
    high_stakes: bool = False
    """A confidence under the table's threshold, or none at all, brings a person in."""
    lawful_basis: str | None = None
    """For S3: on what the processing rests (PDPL, domain.md §10.3)."""
    amount_tiers: tuple[AmountTier, ...] = ()
    """Lowest first; the highest one passed is asked for."""
    amount_field: str | None = None
    """The payload field that holds the money: what is shown and judged by `amount_tiers` is what runs, also after an edit."""
    currency_field: str | None = None
    """The payload field with the currency, when `amount_field` holds a bare decimal string instead of amount and currency."""
    ratio_tiers: tuple[RatioTier, ...] = ()
    ratio_field: str | None = None
    """The payload field with a share of one as a decimal string, judged by `ratio_tiers`: a discount."""
    fixed: tuple[str, ...] = ()
    """Payload fields that an edit may not change: whom it reaches and what it is about. Another one is another proposal."""
    key: str | None = None
    """How its idempotency key is made: a function of shared.events.keys, or a template of `fixed` payload fields."""
    channel: str | None = None
    purpose: str | None = None
    """With a channel, consent, quiet hours and caps of the contact named by payload["contact_id"] apply, and the message counts."""
    address: bool = False
    """The contact's address is put into the payload as `address`, inside the effect."""
    compensation: str | None = None
    """The action that undoes this one."""
    undo: str | None = None
    """In words: how it is undone where no action does it, or that it cannot be."""
    unknown_to_table: bool = False
    undo_reference: str | None = None
    """The payload field that names what is undone. Such an action runs by itself, though external, when it is proposed as the
    compensation of a completed intent and this field holds that intent's provider reference; otherwise a person is asked."""
    below_minimum_because: str | None = None
    """Why the approval asked for is lower than what the reversibility class asks for; never possible for R3."""
    sla: SlaHours = SlaHours()
