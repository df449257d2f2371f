"""An audit log to seal: who writes, when, and rows by their subjects."""

from datetime import UTC, datetime

from shared.events import ActorType
from spine import audit
from spine.audit import Actor, Entry
from spine.db import Database

TENANT = "acme"
CLERK = Actor(ActorType.HUMAN, "ana")
NOON = datetime(2026, 11, 22, 9, tzinfo=UTC)


def write(database: Database, *subjects: str, tenant: str = TENANT) -> None:
    """A row a subject, each in a transaction of its own."""
    for subject in subjects:
        entry = Entry(actor=CLERK, action="thing.happened", subject_type="thing", subject_id=subject, correlation_id="flow")
        with database.tenant(tenant) as conn:
            audit.record_all(conn, [entry], tenant_id=tenant, now=NOON)
