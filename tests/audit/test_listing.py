"""The audit log as pages: the newest first, by any of four filters."""

import pytest

from spine import audit
from spine.audit import Actor, Entry
from spine.db import Database
from spine.errors import InvalidInput
from tests.audit.ledger import CLERK, NOON, TENANT, write


def test_pages_go_from_the_newest_to_the_oldest_and_end(database: Database) -> None:
    write(database, *(f"s{number}" for number in range(5)))
    seen, cursor = [], None
    while True:
        with database.tenant(TENANT) as conn:
            page = audit.listing(conn, tenant_id=TENANT, limit=2, cursor=cursor)
        seen += [row.subject_id for row in page.items]
        if (cursor := page.next) is None:
            break
    assert seen == ["s4", "s3", "s2", "s1", "s0"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"subject_id": "a"}, ["a"]),
        ({"correlation_id": "flow-b"}, ["b"]),
        ({"actor_id": "omar"}, ["b"]),
        ({"action": "thing.changed"}, ["b"]),
        ({"actor_id": "omar", "action": "thing.happened"}, []),
    ],
)
def test_a_listing_shows_what_all_its_filters_name(database: Database, wanted: dict[str, str], found: list[str]) -> None:
    omar = Actor(CLERK.type, "omar")
    entries = [
        Entry(actor=CLERK, action="thing.happened", subject_type="thing", subject_id="a", correlation_id="flow-a"),
        Entry(actor=omar, action="thing.changed", subject_type="thing", subject_id="b", correlation_id="flow-b"),
    ]
    with database.tenant(TENANT) as conn:
        audit.record_all(conn, entries, tenant_id=TENANT, now=NOON)
        assert [row.subject_id for row in audit.listing(conn, tenant_id=TENANT, **wanted).items] == found


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 201}, {"cursor": "nonsense"}])
def test_a_page_that_cannot_be_is_refused(database: Database, wrong: dict[str, object]) -> None:
    with database.tenant(TENANT) as conn, pytest.raises(InvalidInput):
        audit.listing(conn, tenant_id=TENANT, **wrong)  # type: ignore[arg-type]
