"""The envelope: CloudEvents 1.0 with the extensions that governed work needs.

Attribute names are CloudEvents' own (lower-case letters, no separators). `source` + `id` is the identity that readers
de-duplicate by. `correlationid` names the whole business flow, `causationid` is the `id` of the direct cause, and
`traceparent` is the trace the flow *started* in, on every hop (extensions correlation and distributed-tracing).
"""

import re
import uuid
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from shared.events.classes import ActorType, ApprovalClass, ReversibilityClass, SensitivityClass
from shared.events.errors import EventSchemaError
from shared.events.wire import Instant, Wire

TYPE_PATTERN = r"^spine\.[a-z]+\.[a-z]+(_[a-z]+)*\.v[1-9][0-9]*$"


class EventData(Wire):
    """What happened, without the envelope. A subclass is one version of one event of the catalogue.

    `TYPE` is `spine.<domain>.<past_tense>.v<n>` and never changes; `SUBJECT` names the field that says whom it happened to.
    """

    TYPE: ClassVar[str]
    SUBJECT: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if not re.match(TYPE_PATTERN, cls.TYPE):
            raise TypeError(f"{cls.__name__}.TYPE is {cls.TYPE!r}, not spine.<domain>.<past_tense>.v<n>")
        if cls.SUBJECT not in cls.model_fields:
            raise TypeError(f"{cls.__name__}.SUBJECT is {cls.SUBJECT!r}, which is none of its fields")

    @classmethod
    def domain(cls) -> str:
        """`deal` of `spine.deal.won.v1`."""
        return cls.TYPE.split(".")[1]

    @classmethod
    def short_name(cls) -> str:
        """`deal.won` of `spine.deal.won.v1`."""
        return short_name(cls.TYPE)

    @classmethod
    def type_version(cls) -> int:
        """1 of `spine.deal.won.v1`."""
        return int(cls.TYPE.rpartition(".v")[2])

    def subject(self) -> str:
        """The value of the field that `SUBJECT` names."""
        return str(getattr(self, self.SUBJECT))

    def wire(self) -> dict[str, Any]:
        """As JSON values: money and times as text."""
        return self.model_dump(mode="json")


def short_name(event_type: str) -> str:
    """`deal.won` of `spine.deal.won.v1`; of anything else, itself."""
    return re.sub(r"^spine\.(.+)\.v\d+$", r"\1", event_type)


def schema_id(event_type: str) -> str:
    """The stable `$id` of an event's JSON Schema: `urn:spine:event:deal.won:v1`."""
    return f"urn:spine:event:{short_name(event_type)}:{event_type.rpartition('.')[2]}"


def _canonical_uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("an event id is a UUID") from None


EventId = Annotated[
    str,
    Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
    AfterValidator(_canonical_uuid),
]
Line = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
TenantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]  # it is a part of workflow ids: no slash


class Envelope(Wire):
    """One event. Frozen; unknown attributes are ignored. `data` has been checked by whoever published it, see `catalog.check`."""

    specversion: Literal["1.0"]
    id: EventId
    """UUIDv7 where the platform makes it; derived (v5) where a retry must arrive at the same event."""
    source: Line
    """Which part of which plane, as a URI reference: `/data_jobs/crm`."""
    type: Annotated[str, StringConstraints(pattern=TYPE_PATTERN)]
    subject: Line
    time: Instant
    """When it happened, in business time."""
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Line
    tenantid: TenantId
    correlationid: Line
    causationid: Line | None = None
    traceparent: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")] | None = None
    partitionkey: Line
    """Order is kept within one key, per tenant."""
    actortype: ActorType
    approvalclass: ApprovalClass | None = None
    reversibilityclass: ReversibilityClass | None = None
    sensitivityclass: SensitivityClass | None = None
    data: dict[str, Any]

    @classmethod
    def of(
        cls,
        data: EventData,
        *,
        tenant_id: str,
        source: str,
        correlation_id: str,
        event_id: uuid.UUID | str,
        time: datetime,
        subject: str | None = None,
        causation_id: uuid.UUID | str | None = None,
        traceparent: str | None = None,
        partition_key: str | None = None,
        actor_type: ActorType = ActorType.AUTOMATED_WORKFLOW,
        approval_class: ApprovalClass | None = None,
        reversibility_class: ReversibilityClass | None = None,
        sensitivity_class: SensitivityClass | None = None,
    ) -> Self:
        """Wrap an event. Id and time are the caller's (UUIDv7 and the business clock): this package makes neither.

        `subject` defaults to the event's own, `partition_key` to the subject. Raises EventSchemaError, naming the attribute.
        """
        subject = data.subject() if subject is None else subject
        try:
            return cls(
                specversion="1.0",
                id=str(event_id),
                source=source,
                type=data.TYPE,
                subject=subject,
                time=time,
                dataschema=schema_id(data.TYPE),
                tenantid=tenant_id,
                correlationid=correlation_id,
                causationid=None if causation_id is None else str(causation_id),
                traceparent=traceparent,
                partitionkey=subject if partition_key is None else partition_key,
                actortype=actor_type,
                approvalclass=approval_class,
                reversibilityclass=reversibility_class,
                sensitivityclass=sensitivity_class,
                data=data.wire(),
            )
        except ValidationError as error:
            raise EventSchemaError.of(data.TYPE, error) from None

    def to_json(self) -> str:
        """CloudEvents structured-mode JSON (`application/cloudevents+json`); absent attributes are left out, never null."""
        return self.model_dump_json(exclude={name for name in _OPTIONAL if getattr(self, name) is None})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read structured-mode JSON. The data is not judged here: see `catalog.data_of`. Raises EventSchemaError, naming the attribute."""
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise EventSchemaError.of("envelope", error) from None


_OPTIONAL = frozenset(name for name, field in Envelope.model_fields.items() if field.default is None)
