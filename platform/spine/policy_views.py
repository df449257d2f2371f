"""The gate as people and programs see it: explanations, backtests, canary groups."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Self

from spine.policy.backtest import Backtest
from spine.policy.canary import Group
from spine.policy.decide import Deny, NeedApproval
from spine.policy.explain import Explanation
from spine.views import ReasonView, View


class ChangeView(View):
    """`when` this were so, `then` the gate would say that."""

    when: str
    verdict: str
    then: str


class ExplanationView(View):
    verdict: str
    said: str
    decided_by: ReasonView | None
    reasons: tuple[ReasonView, ...]
    approvers: int
    roles: tuple[str, ...]
    must_include: tuple[str, ...]
    next_allowed_at: datetime | None
    changes: tuple[ChangeView, ...]
    action: str
    policy_version: str

    @classmethod
    def of(cls, found: Explanation, *, action: str, policy_version: str) -> Self:
        asked = found.decision if isinstance(found.decision, NeedApproval) else None
        return cls(
            verdict=found.verdict.value,
            said=found.said,
            decided_by=None if found.decided_by is None else ReasonView(code=found.decided_by.code, text=found.decided_by.text),
            reasons=ReasonView.all_of(found.reasons),
            approvers=asked.approvers if asked else 0,
            roles=asked.roles if asked else (),
            must_include=asked.must_include if asked else (),
            next_allowed_at=found.decision.next_allowed_at if isinstance(found.decision, Deny) else None,
            changes=tuple(ChangeView(when=one.when, verdict=one.verdict.value, then=one.then) for one in found.changes),
            action=action,
            policy_version=policy_version,
        )


class MoveView(View):
    action: str
    before: str
    after: str
    count: int


class MovedView(View):
    intent_id: str
    automation: str
    action: str
    before: str
    after: str


class BacktestView(View):
    """`moved` are the newest of those whose verdict changes; `moves` counts all of them."""

    current: str
    candidate: str
    judged: int
    changed: int
    moves: tuple[MoveView, ...]
    moved: tuple[MovedView, ...]

    @classmethod
    def of(cls, found: Backtest, *, current: str, candidate: str) -> Self:
        counted = ((*key, count) for key, count in found.moves.most_common())
        return cls(
            current=current,
            candidate=candidate,
            judged=found.judged,
            changed=found.changed,
            moves=tuple(MoveView(action=action, before=before, after=after, count=count) for action, before, after, count in counted),
            moved=tuple(MovedView(**asdict(one)) for one in found.moved),
        )


class CanaryView(View):
    """A group with its list of tenants: for the operator of the installation, never for a tenant."""

    automation: str
    enforced: bool
    percentage: Decimal | None
    tenants: tuple[str, ...] | None
    opens_at: datetime | None
    closes_at: datetime | None
    stop_loss: Decimal | None
    stop_loss_window_seconds: int
    stop_loss_from: int
    held_at: datetime | None
    held_because: str | None
    held_by: str | None

    @classmethod
    def of(cls, group: Group) -> Self:
        made = {"stop_loss_window_seconds"}
        return cls(
            **{name: getattr(group, name) for name in cls.model_fields.keys() - made},
            stop_loss_window_seconds=int(group.stop_loss_window.total_seconds()),
        )
