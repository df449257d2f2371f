"""Operations: somebody stopped something, something is not as it should be, what was given up is tried again."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.classes import Severity
from shared.events.envelope import EventData
from shared.events.wire import Name, Ref, Text

SwitchScope = Literal["tenant", "automation", "action", "plugin"]


class KillSwitchEngaged(EventData):
    """From here on nothing that `target` covers begins. What was allowed before waits."""

    TYPE: ClassVar[str] = "spine.governance.kill_switch_engaged.v1"
    SUBJECT: ClassVar[str] = "target"

    scope: SwitchScope
    target: Name
    reason: Text
    engaged_by: Ref


class KillSwitchReleased(EventData):
    """What waited goes on."""

    TYPE: ClassVar[str] = "spine.governance.kill_switch_released.v1"
    SUBJECT: ClassVar[str] = "target"

    scope: SwitchScope
    target: Name
    reason: Text
    released_by: Ref


class FindingRaised(EventData):
    """The sweeper found something that must not be, or not for so long. Said once while it stands."""

    TYPE: ClassVar[str] = "spine.governance.finding_raised.v1"
    SUBJECT: ClassVar[str] = "finding_id"

    finding_id: Ref
    code: Name
    about: Ref
    severity: Severity
    detail: Text


class FindingCleared(EventData):
    """It is no longer so."""

    TYPE: ClassVar[str] = "spine.governance.finding_cleared.v1"
    SUBJECT: ClassVar[str] = "finding_id"

    finding_id: Ref
    code: Name
    about: Ref


class DeadLetterRetried(EventData):
    """A person wants a step of a commitment, or a data job, tried again. The fields say where it is: of a step its workflow, run and
    activity, of a data job its name and the tags to launch it with.
    """

    TYPE: ClassVar[str] = "spine.governance.dead_letter_retried.v1"
    SUBJECT: ClassVar[str] = "dead_letter_id"

    dead_letter_id: Ref
    plane: Literal["activity", "graph", "data_job"]
    consumer: Name
    workflow_id: Ref | None = None
    run_id: Ref | None = None
    activity_id: Ref | None = None
    job: Name | None = None
    tags: Annotated[dict[str, str], Field(default_factory=dict)]
