"""The functions that people hold in the approver directory, and how much authority each has.

A rule names functions, never people. `approver` is no function: it is any key of role approver or above. The numbers only
order: a higher amount may never need less authority than a lower one. Sources: domain.md §1.1 (manager, head, executive and
board sign A1, A2, A3), §1.6 (director, VP, C-level, board by amount; legal and finance beside them).
"""

from collections.abc import Iterable, Mapping

APPROVER = "approver"

AUTHORITY: Mapping[str, int] = {
    APPROVER: 0,
    "manager": 1,
    "head": 2,
    "legal": 2,  # beside the line, not above it: asked for by `must_include`
    "finance": 2,
    "director": 3,
    "vp": 4,
    "executive": 5,
    "founder": 5,
    "board": 6,
}

BESIDE = frozenset({"legal", "finance"})
"""Asked for what they know, not for their rank: nobody above stands in for them."""


def missing_from(now: Iterable[str], before: Iterable[str]) -> list[str]:
    """Who had to sign before and neither has to now, nor anybody above them."""
    kept = set(now)
    highest = max((AUTHORITY.get(name, 0) for name in kept - BESIDE), default=-1)
    return sorted(name for name in set(before) - kept if name in BESIDE or AUTHORITY.get(name, 0) > highest)


def authority(roles: Iterable[str]) -> int:
    """What is certain about a decision that any one of these may take: the authority of the least of them. -1 for nobody."""
    return min((AUTHORITY.get(role, 0) for role in roles), default=-1)
