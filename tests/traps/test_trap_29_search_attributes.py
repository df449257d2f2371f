"""A search attribute that the server does not know is an INVALID_ARGUMENT, and registration takes a while to arrive everywhere.

So ours are registered when the server starts, its probe waits until they are there, and a start that names a missing one is
tried again instead of becoming a dead letter, as other invalid arguments do.
"""

from collections.abc import Iterator

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from spine.dispatch import outcome_of
from spine.eventlog.outcomes import Failed, Refused
from spine.ids import new_id
from spine.stack.temporal_server import SEARCH_ATTRIBUTES, missing_search_attributes
from spine.temporal import AUTOMATION, CORRELATION_ID, TENANT_ID, TemporalLoop, connect


@pytest.fixture
def loop(temporal: str) -> Iterator[TemporalLoop]:
    made = TemporalLoop(lambda: connect(temporal))
    yield made
    made.close()


def start(loop: TemporalLoop, *pairs: SearchAttributePair[str], workflow_id: str | None = None) -> None:
    async def call(client: Client) -> None:
        attributes = TypedSearchAttributes(list(pairs))
        await client.start_workflow("anything", id=workflow_id or f"trap-29/{new_id()}", task_queue="t", search_attributes=attributes)

    loop.run(call)


def test_the_server_knows_those_that_every_start_names(loop: TemporalLoop, temporal: str) -> None:
    assert missing_search_attributes(temporal) == []
    assert {key.name for key in (TENANT_ID, AUTOMATION, CORRELATION_ID)} == set(SEARCH_ATTRIBUTES)
    start(loop, *(SearchAttributePair(key, "x") for key in (TENANT_ID, AUTOMATION, CORRELATION_ID)))


def test_one_that_it_does_not_know_is_an_invalid_argument_that_is_tried_again(loop: TemporalLoop) -> None:
    with pytest.raises(RPCError) as raised:
        start(loop, SearchAttributePair(SearchAttributeKey.for_keyword("Unheard"), "x"))
    assert raised.value.status == RPCStatusCode.INVALID_ARGUMENT
    assert isinstance(outcome_of(raised.value), Failed)


def test_other_invalid_arguments_are_not_tried_again(loop: TemporalLoop) -> None:
    with pytest.raises(RPCError) as raised:
        start(loop, workflow_id="x" * 1500)
    assert isinstance(outcome_of(raised.value), Refused)
