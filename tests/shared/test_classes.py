"""The scales are in order, and what reversibility asks for does not shrink."""

import pytest

from shared.events.classes import (
    ActionClass,
    ActorType,
    ApprovalClass,
    ReversibilityClass,
    SensitivityClass,
    Severity,
    SideEffectClass,
    is_external,
    may_commit,
    minimum_approval,
    rank,
    strictest,
)


@pytest.mark.parametrize("scale", [ActionClass, ApprovalClass, ReversibilityClass, SensitivityClass, Severity, SideEffectClass])
def test_a_scale_goes_from_harmless_to_grave(scale: type) -> None:
    levels = list(scale)
    assert [rank(level) for level in levels] == list(range(len(levels)))
    assert strictest(reversed(levels)) is levels[-1]


def test_the_strictest_of_nothing_is_no_answer() -> None:
    with pytest.raises(ValueError, match="empty"):
        strictest(list[ApprovalClass]())


def test_side_effects_are_ranked_by_reach_and_not_by_their_letters() -> None:
    assert strictest([SideEffectClass.EXTERNAL_MESSAGE, SideEffectClass.INTERNAL_WRITE]) is SideEffectClass.EXTERNAL_MESSAGE


def test_reversibility_sets_the_minimum_approval() -> None:
    assert [minimum_approval(level) for level in ReversibilityClass] == list(ApprovalClass)
    assert minimum_approval(ReversibilityClass.R3) is ApprovalClass.A3


def test_only_messages_and_commitments_leave_the_company() -> None:
    assert [effect for effect in SideEffectClass if is_external(effect)] == ["external_message", "external_commitment"]


def test_observers_and_recommenders_never_commit() -> None:
    assert {actor for actor in ActorType if not may_commit(actor)} == {ActorType.OBSERVER_AGENT, ActorType.RECOMMENDER_AGENT}
