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
    """Which dataset, by its asset's name."""
    version: Ref
    """The version that was published."""
    partition: Ref | None = None
    """Which part of it, where it has parts."""
    rows: Annotated[int, Field(ge=0)]
    """How many rows it has."""
    events_published: Annotated[int, Field(ge=0)]
    """How many of them became events."""
