"""Seals over the log: what they cover, what they never leave out, and that whatever changes a sealed row is named."""

from collections.abc import Iterator

import psycopg
import pytest

from spine import audit
from spine.audit import seals, verify
from spine.audit.merkle import leads_to, root_of
from spine.audit.sealed import as_bytes
from spine.db import Database
from spine.errors import Conflict, NotFound
from spine.stack.postgres import EmbeddedPostgres
from tests.audit.ledger import CLERK, NOON, TENANT, write


def seal(database: Database, *, tenant: str = TENANT, limit: int = seals.BATCH) -> seals.Seal | None:
    with database.tenant(tenant) as conn:
        return seals.seal(conn, tenant_id=tenant, now=NOON, limit=limit)


def verdict(database: Database, *, tenant: str = TENANT, anchor: str | None = None) -> verify.Verdict:
    with database.tenant(tenant) as conn:
        return verify.of_database(conn, tenant_id=tenant, anchor=anchor)


def positions(database: Database) -> list[int]:
    with database.tenant(TENANT) as conn:
        return [row.position for row in audit.rows(conn, tenant_id=TENANT)]


@pytest.fixture
def sealed(database: Database) -> Database:
    """Nine rows in three chained seals."""
    write(database, *(f"s{number}" for number in range(9)))
    while seal(database, limit=3):
        pass
    return database


@pytest.fixture
def tampering(postgres: EmbeddedPostgres, database_name: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The superuser with the triggers switched off: whom only the seals can catch."""
    with psycopg.connect(postgres.url(database=database_name), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        yield connection


def test_what_is_sealed_in_batches_is_whole_and_what_is_not_sealed_is_counted(sealed: Database) -> None:
    write(sealed, "later", "later still")
    found = verdict(sealed)
    assert (found.is_whole, found.rows, found.seals, found.unsealed) == (True, 9, 3, 2)


def test_no_batch_is_made_of_nothing(sealed: Database) -> None:
    assert seal(sealed) is None


def test_a_row_that_commits_late_is_sealed_too(database: Database) -> None:
    """Its position is drawn first, its commit comes last: by positions alone a seal would pass it by for ever."""
    with database.tenant(TENANT) as slow:
        audit.record(slow, tenant_id=TENANT, actor=CLERK, action="slow.happened", subject_type="x", subject_id="slow", now=NOON)
        write(database, "quick")
        assert seal(database) is None, "the quick row lies beyond the horizon while the slow one could still come before it"
    made = seal(database)
    assert made is not None
    assert list(made.positions) == positions(database)
    assert verdict(database).rows == 2


def test_every_tenant_has_a_chain_of_its_own(database: Database) -> None:
    write(database, "a")
    write(database, "b", "c", tenant="globex")
    assert [seals.seal_all(database, tenant_id=tenant, now=NOON, limit=1) for tenant in (TENANT, "globex")] == [1, 2]
    assert [seals.seal_all(database, tenant_id=tenant, now=NOON) for tenant in (TENANT, "globex")] == [0, 0]
    assert [verdict(database, tenant=tenant).rows for tenant in (TENANT, "globex")] == [1, 2]


@pytest.mark.parametrize(
    ("change", "kind", "culprit"),
    [
        ('update audit_log set detail = \'{"why": "other"}\' where position = %(p)s', "altered", 4),
        ("update audit_log set actor_id = 'omar' where position = %(p)s", "altered", 4),
        ("update audit_log set occurred_at = occurred_at + interval '1 microsecond' where position = %(p)s", "altered", 4),
        ("delete from audit_log where position = %(p)s", "removed", 4),
        ("delete from audit_log where position >= %(p)s", "removed", 4),
    ],
)
def test_a_sealed_row_that_was_altered_or_removed_is_named(
    sealed: Database, tampering: psycopg.Connection[tuple[object, ...]], change: str, kind: str, culprit: int
) -> None:
    there = positions(sealed)
    tampering.execute(change.encode(), {"p": there[culprit]})
    fault = verdict(sealed).fault
    assert fault is not None
    assert (fault.kind, fault.position) == (kind, there[culprit])


def test_the_end_of_the_log_cut_off_is_found_against_the_last_seal(
    sealed: Database, tampering: psycopg.Connection[tuple[object, ...]]
) -> None:
    last = positions(sealed)[-1]
    tampering.execute("delete from audit_log where position = %s", (last,))
    fault = verdict(sealed).fault
    assert fault is not None
    assert (fault.kind, fault.position) == ("removed", last)


def test_a_row_put_in_between_is_named(sealed: Database, tampering: psycopg.Connection[tuple[object, ...]]) -> None:
    tampering.execute(
        "insert into audit_log (audit_id, tenant_id, occurred_at, actor_type, actor_id, action, subject_type, subject_id, xid) "
        "select gen_random_uuid(), tenant_id, occurred_at, actor_type, 'forger', action, subject_type, subject_id, xid "
        "from audit_log where position = %s",
        (positions(sealed)[4],),
    )
    fault = verdict(sealed).fault
    assert fault is not None
    assert fault.kind == "inserted"
    assert fault.position not in positions(sealed)[:9]


def test_rows_that_changed_places_are_found(sealed: Database, tampering: psycopg.Connection[tuple[object, ...]]) -> None:
    first, second = positions(sealed)[3:5]
    tampering.execute(
        "update audit_log set xid = (select xid from audit_log o where o.position <> audit_log.position and o.position = any(%(two)s)) "
        "where position = any(%(two)s)",
        {"two": [first, second]},
    )
    fault = verdict(sealed).fault
    assert fault is not None
    assert (fault.kind, fault.seal) == ("altered", 2)  # the place is part of what is sealed: to move a row is to alter it


@pytest.mark.parametrize(
    "change",
    [
        "delete from audit_seals where number = 2",
        "update audit_seals set sealed_at = sealed_at + interval '1 hour' where number = 2",
        "update audit_seals set previous_root = root where number = 2",
        "update audit_seals set leaves = overlay(leaves placing leaves from 33 for 32) where number = 2",
        "update audit_seals set positions = positions || 99::bigint where number = 2",
    ],
)
def test_a_seal_that_was_changed_or_taken_out_is_named(
    sealed: Database, tampering: psycopg.Connection[tuple[object, ...]], change: str
) -> None:
    tampering.execute(change.encode())
    fault = verdict(sealed).fault
    assert fault is not None
    assert fault.seal in (2, 3)


def test_a_history_rewritten_with_all_its_seals_is_found_by_a_root_kept_elsewhere(
    sealed: Database, tampering: psycopg.Connection[tuple[object, ...]]
) -> None:
    kept = verdict(sealed).head
    assert verdict(sealed, anchor=kept).is_whole
    tampering.execute("delete from audit_seals")
    tampering.execute("update audit_log set actor_id = 'omar'")
    assert seal(sealed) is not None
    assert verdict(sealed).is_whole, "nothing inside the database tells"
    fault = verdict(sealed, anchor=kept).fault
    assert fault is not None
    assert fault.kind == "anchor"


def test_the_end_cut_off_with_its_seal_is_found_by_a_root_kept_elsewhere(
    sealed: Database, tampering: psycopg.Connection[tuple[object, ...]]
) -> None:
    kept = verdict(sealed).head
    tampering.execute("delete from audit_seals where number = 3")
    tampering.execute("delete from audit_log where position >= %s", (positions(sealed)[6],))
    assert verdict(sealed).is_whole
    assert not verdict(sealed, anchor=kept).is_whole


@pytest.mark.parametrize("table", ["audit_log", "audit_seals"])
def test_no_role_of_ours_alters_or_removes_what_is_sealed(sealed: Database, table: str) -> None:
    for change in (f"delete from {table}", f"truncate {table}", f"update {table} set tenant_id = 'x'"):
        for opened in (sealed.tenant(TENANT), sealed.relay()):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), opened as conn:
                conn.execute(change.encode())


def test_one_row_is_proved_with_a_few_hashes(sealed: Database) -> None:
    for position in positions(sealed):
        with sealed.tenant(TENANT) as conn:
            proof = seals.prove(conn, tenant_id=TENANT, position=position)
        made = leads_to(as_bytes(proof.leaf), proof.index, proof.size, [as_bytes(step) for step in proof.path])
        assert made == as_bytes(proof.seal.merkle_root) == root_of(proof.seal.leaves)
        assert proof.content["position"] == position


def test_a_row_that_is_not_sealed_yet_or_not_there_has_no_proof(sealed: Database) -> None:
    write(sealed, "later")
    with sealed.tenant(TENANT) as conn:
        with pytest.raises(Conflict, match="not sealed yet"):
            seals.prove(conn, tenant_id=TENANT, position=positions(sealed)[-1])
        with pytest.raises(NotFound):
            seals.prove(conn, tenant_id=TENANT, position=10**9)


def test_seals_come_in_pages_newest_first(sealed: Database) -> None:
    with sealed.tenant(TENANT) as conn:
        first = seals.listing(conn, tenant_id=TENANT, limit=2)
        second = seals.listing(conn, tenant_id=TENANT, limit=2, cursor=first.next)
    assert [one.number for one in (*first.items, *second.items)] == [3, 2, 1]
    assert second.next is None
