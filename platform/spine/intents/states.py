"""The states of an intent and the moves between them: the one table, architecture.md §6."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class IntentState(StrEnum):
    PROPOSED = "proposed"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNABLE = "runnable"
    EXECUTING = "executing"
    UNKNOWN = "unknown"  # it may have happened: ask the provider
    COMPLETED = "completed"
    FAILED = "failed"
    DENIED = "denied"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # edited: a new revision takes over
    CANCELLED = "cancelled"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


_S = IntentState

MOVES: Mapping[IntentState, frozenset[IntentState]] = MappingProxyType(
    {
        _S.PROPOSED: frozenset({_S.AWAITING_APPROVAL, _S.RUNNABLE, _S.DENIED}),
        _S.AWAITING_APPROVAL: frozenset({_S.RUNNABLE, _S.REJECTED, _S.EXPIRED, _S.SUPERSEDED, _S.CANCELLED}),
        _S.RUNNABLE: frozenset({_S.EXECUTING, _S.CANCELLED}),
        _S.EXECUTING: frozenset({_S.COMPLETED, _S.FAILED, _S.UNKNOWN}),
        _S.UNKNOWN: frozenset({_S.COMPLETED, _S.FAILED}),
        _S.COMPLETED: frozenset({_S.COMPENSATING}),
        _S.COMPENSATING: frozenset({_S.COMPENSATED, _S.COMPENSATION_FAILED}),
        **{
            ended: frozenset()
            for ended in (
                _S.FAILED,
                _S.DENIED,
                _S.REJECTED,
                _S.EXPIRED,
                _S.SUPERSEDED,
                _S.CANCELLED,
                _S.COMPENSATED,
                _S.COMPENSATION_FAILED,
            )
        },
    }
)

TERMINAL = frozenset(state for state, onward in MOVES.items() if not onward)
"""Nothing leaves these. `completed` is not among them: what was done may be undone."""

NEVER_DONE = frozenset({_S.DENIED, _S.REJECTED, _S.EXPIRED, _S.CANCELLED, _S.FAILED})
"""Ended without an effect and without a successor."""


def may_become(state: IntentState) -> list[IntentState]:
    """The states from which `state` is reached."""
    return [before for before, onward in MOVES.items() if state in onward]
