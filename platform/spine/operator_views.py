"""What operators look at, as people and programs see it: switches, findings, dead letters and their circuits."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from spine.deadletters import DeadLetter
from spine.deadletters.circuits import Circuit
from spine.policy.switches import Switch
from spine.sweeper import Finding
from spine.views import View


class SwitchView(View):
    scope: str
    target: str
    reason: str
    engaged_by: str
    engaged_at: datetime

    @classmethod
    def of(cls, switch: Switch) -> Self:
        return cls(**{**asdict(switch), "scope": switch.scope.value})


class FindingView(View):
    """`about` is the id of what is not as it should be; `cleared_at` is None while it stands."""

    finding_id: UUID
    code: str
    about: str
    severity: str
    detail: str
    raised_at: datetime
    seen_at: datetime
    cleared_at: datetime | None

    @classmethod
    def of(cls, finding: Finding) -> Self:
        return cls(**{**asdict(finding), "severity": finding.severity.value})


class DeadLetterView(View):
    """`body`, what it was, is for operators and above, one letter at a time."""

    dead_letter_id: UUID
    plane: str
    reference: str
    consumer: str
    correlation_id: str | None
    error_code: str
    error: str
    attempts: int
    state: str
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    successor: str | None
    body: dict[str, Any] | None

    @classmethod
    def of(cls, letter: DeadLetter, *, whole: bool = False) -> Self:
        shown = {name: getattr(letter, name) for name in cls.model_fields}
        return cls(**{**shown, "body": dict(letter.body) if whole else None})


class CircuitView(View):
    """While it is `open` or `half_open`, what fails this way waits; `held` events do. Times are real time."""

    plane: str
    consumer: str
    error_code: str
    state: str
    trips: int
    opened_at: datetime
    probe_at: datetime
    held: int

    @classmethod
    def of(cls, circuit: Circuit) -> Self:
        return cls(**{name: getattr(circuit, name) for name in cls.model_fields})
