"""The classes by which work is judged, and the order within each.

Every scale is written from the harmless end to the grave one, and the order of its members is that order: compare with
`rank`, never with `<` on the text. Sources: domain.md §1.1-1.4 (A, R, S, action class), §11.3 (V), §1.7 (side effects).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar


class ActionClass(StrEnum):
    """What may happen without a person. An unknown action is B; an empty action name is C."""

    A = "A"  # automatic
    B = "B"  # approval-gated
    C = "C"  # forbidden


class ApprovalClass(StrEnum):
    """Who signs off. How many distinct people each level takes is policy, not contract."""

    A0 = "A0"  # nobody: reading, drafts, internal notes
    A1 = "A1"  # manager or team lead
    A2 = "A2"  # head of the function, with legal and finance where it touches them
    A3 = "A3"  # executive or board


class ReversibilityClass(StrEnum):
    """How it is undone."""

    R0 = "R0"  # by itself: flag off, designed rollback
    R1 = "R1"  # with limited effort of an operator
    R2 = "R2"  # at a cost: somebody outside has already acted on it
    R3 = "R3"  # not at all: signature, filing, money moved, public statement


class SensitivityClass(StrEnum):
    """What the data is."""

    S0 = "S0"  # public
    S1 = "S1"  # internal, operational
    S2 = "S2"  # confidential, commercial
    S3 = "S3"  # personal, regulated, board


class Verdict(StrEnum):
    """What a person answers: as proposed, with an amended payload (judged afresh), or not at all."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"


class ActorType(StrEnum):
    """Who acts. Observers and recommenders never commit."""

    HUMAN = "human"
    OBSERVER_AGENT = "observer_agent"
    RECOMMENDER_AGENT = "recommender_agent"
    EXECUTOR_SYSTEM = "executor_system"
    AUTOMATED_WORKFLOW = "automated_workflow"


class Severity(StrEnum):
    """How grave an incident is. V2 stops the way from canary to production, V3 stops shipping."""

    V0 = "V0"  # a note
    V1 = "V1"  # internal and compensated
    V2 = "V2"  # a customer feels it
    V3 = "V3"  # a regulator may ask


class SideEffectClass(StrEnum):
    """How far an effect reaches. The last two leave the company: a correlation id is mandatory for them."""

    NONE = "none"
    INTERNAL_WRITE = "internal_write"
    EXTERNAL_MESSAGE = "external_message"
    EXTERNAL_COMMITMENT = "external_commitment"


Scale = ActionClass | ApprovalClass | ReversibilityClass | SensitivityClass | Severity | SideEffectClass
Level = TypeVar("Level", ActionClass, ApprovalClass, ReversibilityClass, SensitivityClass, Severity, SideEffectClass)

_MINIMUM_APPROVAL = dict(zip(ReversibilityClass, ApprovalClass, strict=True))  # R0 → A0 … R3 → A3


def rank(level: Scale) -> int:
    """The place of a level on its own scale, 0 for the harmless end."""
    return list(type(level)).index(level)


def strictest(levels: Iterable[Level]) -> Level:
    """The gravest of several levels of one scale. Raises ValueError when there are none: absence is not harmless."""
    return max(levels, key=rank)


def minimum_approval(reversibility: ReversibilityClass) -> ApprovalClass:
    """The least approval that a reversibility class asks for: R0 → A0, R1 → A1, R2 → A2, R3 → A3.

    The policy table may ask for more; what it asks for less of is for the gate to refuse or justify, not for this function.
    """
    return _MINIMUM_APPROVAL[reversibility]


def is_external(effect: SideEffectClass) -> bool:
    """Does it leave the company?"""
    return effect in (SideEffectClass.EXTERNAL_MESSAGE, SideEffectClass.EXTERNAL_COMMITMENT)


def may_commit(actor: ActorType) -> bool:
    """Observers watch and recommenders propose; everyone else may carry an allowed effect out."""
    return actor not in (ActorType.OBSERVER_AGENT, ActorType.RECOMMENDER_AGENT)
