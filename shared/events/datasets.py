"""Datasets: the data plane published something that others may build on."""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.events.envelope import EventData
from shared.events.wire import Name, Ref


class DatasetPublished(EventData):
    """Written in the transaction that publishes the dataset's own events, so that a re-run publishes nothing twice."""

    TYPE: ClassVar[str] = "spine.dataset.published.v1"
    SUBJECT: ClassVar[str] = "dataset"

    dataset: Name
    version: Ref
    partition: Ref | None = None
    rows: Annotated[int, Field(ge=0)]
    events_published: Annotated[int, Field(ge=0)]
