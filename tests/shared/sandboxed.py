"""A workflow module that names the events at its top and uses them as it loads: Temporal loads it anew in the sandbox."""

from datetime import UTC, datetime

from temporalio import workflow

from shared.events import DealWon, Envelope, check, data_of, keys, records

_DATA = check(
    DealWon.TYPE,
    {
        "deal_id": "D-1",
        "account": "Isdom",
        "contact_id": "contact-2",
        "product": "MG Special",
        "sales_agent": "agent-7",
        "value": {"amount": "55.50", "currency": "SAR"},
        "closed_on": "2026-11-22",
    },
)
_ENVELOPE = Envelope.of(
    _DATA,
    tenant_id="demo",
    source="/sandbox",
    correlation_id="corr-1",
    event_id="019a9f3c-7c00-7a00-8000-00000000000a",
    time=datetime(2026, 11, 22, 12, tzinfo=UTC),
)
if data_of(Envelope.from_json(_ENVELOPE.to_json())) != _DATA or keys.key_of("a") != "a" or not records.Risk:
    raise RuntimeError("the sandbox changed what an event is")


@workflow.defn(name="reads-events")
class ReadsEvents:
    @workflow.run
    async def run(self) -> None:
        return None
