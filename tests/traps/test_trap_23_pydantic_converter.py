"""Without temporalio's pydantic converter on a client, models do not cross: a Decimal is refused, the rest arrives as a dictionary.

So every client of ours comes from `spine.temporal.connect`, which sets it; workers and the Dagster side take theirs from there.
"""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel
from temporalio.client import Client
from temporalio.converter import DataConverter

from spine.ids import new_id
from spine.temporal import connect


class Invoice(BaseModel):
    at: datetime
    amount: Decimal


INVOICE = Invoice(at=datetime(2026, 11, 22, tzinfo=UTC), amount=Decimal("1250.10"))


def test_the_plain_converter_does_not_carry_a_model() -> None:
    with pytest.warns(Warning, match=r"[Pp]ydantic"), pytest.raises(TypeError, match="Decimal"):
        asyncio.run(DataConverter.default.encode([INVOICE]))


def test_our_client_carries_a_model_through_the_server(temporal: str) -> None:
    async def there_and_back() -> Invoice:
        client: Client = await connect(temporal)
        handle = await client.start_workflow("billing", INVOICE, id=f"trap-23/{new_id()}", task_queue="trap-23")
        started = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
        await handle.terminate()
        [arrived] = await client.data_converter.decode(started.input.payloads, [Invoice])
        assert isinstance(arrived, Invoice)
        return arrived

    assert asyncio.run(there_and_back()) == INVOICE
