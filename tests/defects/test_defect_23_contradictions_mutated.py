"""Defect 23: a contradiction between what was claimed and what happened was a row that the code updated in place, status by status.

Whoever asked later saw the last word only, and nobody could tell that there had been another. Here a contradiction is an event and an
audit row of its own; what comes after is appended behind it; no role can change either, and a seal shows it when somebody does.
"""

import psycopg
import pytest

from spine.audit import seals, verify
from spine.db import Database
from spine.stack.postgres import EmbeddedPostgres
from tests.audit.ledger import NOON
from tests.governance.support import Desk, ScriptedConnector


@pytest.fixture
def desk(database: Database) -> Desk:
    opened = Desk(database)
    opened.contact()
    return opened


def contradicted(desk: Desk) -> str:
    desk.provider = ScriptedConnector(perform_script=["lie"])
    intent_id = desk.runnable().intent_id
    desk.execute(intent_id)
    return intent_id


def test_a_contradiction_is_appended_and_a_later_word_stands_behind_it(desk: Desk) -> None:
    intent_id = contradicted(desk)
    told = desk.sql("select position, action, severity, detail from audit_log where subject_id = %s order by position", intent_id)
    (found,) = [row for row in told if row["action"] == "effect.contradicted"]
    assert (found["severity"], found["detail"]["fields"]) == ("V2", ["subject"])
    events = desk.sql("select position, envelope from events where envelope->'data'->>'kind' = 'contradicted-effect'")
    desk.execute(intent_id)  # asked again: the answer is the same, and nothing that was said is unsaid
    assert desk.sql("select position, envelope from events where envelope->'data'->>'kind' = 'contradicted-effect'") == events
    assert len(events) == 1


@pytest.mark.parametrize("table", ["events", "audit_log"])
@pytest.mark.parametrize("change", ["update {} set correlation_id = 'resolved'", "delete from {}", "truncate {} cascade"])
def test_nobody_changes_what_was_said(desk: Desk, postgres: EmbeddedPostgres, database_name: str, table: str, change: str) -> None:
    contradicted(desk)
    with psycopg.connect(postgres.url(database=database_name)) as superuser, pytest.raises(psycopg.errors.InsufficientPrivilege):
        superuser.execute(change.format(table).encode())


def test_whoever_gets_past_the_triggers_is_seen(desk: Desk, postgres: EmbeddedPostgres, database_name: str) -> None:
    contradicted(desk)
    with desk.database.tenant(desk.tenant) as conn:
        seals.seal(conn, tenant_id=desk.tenant, now=NOON)
    with psycopg.connect(postgres.url(database=database_name)) as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute("update audit_log set severity = 'V0' where action = 'effect.contradicted'")
    with desk.database.tenant(desk.tenant) as conn:
        fault = verify.of_database(conn, tenant_id=desk.tenant).fault
    assert fault is not None
    assert fault.kind == "altered"
