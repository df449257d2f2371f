"""Transactions: whose they are, and that they outlive a restart of the server."""

from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from spine.db import Database, Question, answer_to, at_last, head_revision, migrate, revision_of
from spine.errors import Misconfigured, TenantMismatch
from spine.stack.postgres import EmbeddedPostgres

KILL_OTHERS = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'spine_app' and datname = current_database()"


def _tenant_seen(database: Database, tenant_id: str) -> str:
    with database.tenant(tenant_id) as connection:
        row = connection.execute("select current_setting('spine.tenant_id') as tenant").fetchone()
    assert row is not None
    return str(row["tenant"])


def test_a_transaction_belongs_to_one_tenant_and_the_next_to_another(database: Database) -> None:
    assert [_tenant_seen(database, "one"), _tenant_seen(database, "two")] == ["one", "two"]


@pytest.mark.parametrize("nobody", ["", "  "])
def test_nobody_is_not_a_tenant(database: Database, nobody: str) -> None:
    with pytest.raises(TenantMismatch, match="no tenant"), database.tenant(nobody):
        pass


def test_all_connections_dead_at_once_cost_no_transaction(database: Database) -> None:
    with database.tenant("one"), database.tenant("one"), database.tenant("one"):
        pass  # three connections in the pool
    with psycopg.connect(database.app_url, autocommit=True) as killer:
        killer.execute(KILL_OTHERS + " and pid <> pg_backend_pid()")
    assert [_tenant_seen(database, "one") for _ in range(4)] == ["one"] * 4


def test_a_connection_whose_beginning_failed_is_given_back_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice, and two transactions would share it, each inside the wall of whoever began last."""
    with Database(f"{database.app_url}?options=-cstatement_timeout%3D50", max_size=2) as hasty:
        lends = hasty._app.getconn

        def once_and_no_more(*_: object) -> psycopg.Connection[dict[str, Any]]:
            monkeypatch.setattr(hasty._app, "getconn", exhausted)
            return lends()

        def exhausted(*_: object) -> None:
            raise PoolTimeout("every connection is lent")

        monkeypatch.setattr(hasty._app, "getconn", once_and_no_more)
        with pytest.raises(PoolTimeout, match="every connection"), hasty.asking("one", Question("select pg_sleep(5)", {})):
            pass
        monkeypatch.undo()
        with hasty.tenant("one") as one, hasty.tenant("two") as two:
            assert one is not two


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    def fails() -> None:
        with database.tenant("one") as connection:
            connection.execute("insert into contacts (tenant_id, contact_id, account) values ('one', 'contact/a', 'A')")
            raise RuntimeError("after the write")

    with pytest.raises(RuntimeError, match="after the write"):
        fails()
    with database.tenant("one") as connection:
        assert connection.execute("select count(*) as n from contacts").fetchone() == {"n": 0}


def test_a_process_without_the_relay_address_is_told_which_variable_to_set(database: Database) -> None:
    with Database(database.app_url) as blind, pytest.raises(Misconfigured, match="SPINE_DATABASE_RELAY_URL"), blind.relay():
        pass


def test_migrating_twice_does_nothing_the_second_time(postgres: EmbeddedPostgres, database_name: str) -> None:
    owner_url = postgres.url("spine_owner", database_name)
    assert migrate(owner_url) == head_revision() == revision_of(owner_url)


def _kept(database: Database) -> list[str]:
    with database.tenant("one") as connection:
        return [row["key_id"] for row in connection.execute("select key_id from api_keys order by key_id")]


_KEY = (
    "insert into api_keys (tenant_id, key_id, principal_id, actor_type, role, secret_hash) "
    "values (%(t)s, %(k)s, 'p', 'human', 'viewer', 'h')"
)


def test_a_last_statement_takes_effect_with_the_transaction_or_not_at_all(database: Database) -> None:
    with database.tenant("one") as connection:
        at_last(connection, _KEY, {"t": "one", "k": "it's last"})
        assert connection.execute("select 1 from api_keys").fetchone() is None, "nothing is sent before the end"
    assert _kept(database) == ["it's last"]

    def fails() -> None:
        with database.tenant("one") as connection:
            at_last(connection, _KEY, {"t": "one", "k": "never"})
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert _kept(database) == ["it's last"]


def test_a_last_statement_that_fails_takes_the_transaction_with_it(database: Database) -> None:
    def twice() -> None:
        with database.tenant("one") as connection:
            connection.execute(_KEY, {"t": "one", "k": "first"})
            at_last(connection, _KEY, {"t": "one", "k": "first"})

    with pytest.raises(psycopg.errors.UniqueViolation):
        twice()
    assert _kept(database) == []


_GONE = "update api_keys set key_id = 'renamed' where key_id = %(k)s"


def test_several_last_statements_run_in_their_order_and_together(database: Database) -> None:
    with database.tenant("one") as connection:
        at_last(connection, _KEY, {"t": "one", "k": "last but one"})
        at_last(connection, _GONE, {"k": "last but one"})
        at_last(connection, _KEY, {"t": "one", "k": "last"})
    assert _kept(database) == ["last", "renamed"]

    def fails() -> None:
        with database.tenant("one") as connection:
            at_last(connection, _KEY, {"t": "one", "k": "another"})
            at_last(connection, _KEY, {"t": "one", "k": "last"})

    with pytest.raises(psycopg.errors.UniqueViolation):
        fails()
    assert _kept(database) == ["last", "renamed"]


def test_a_connection_of_no_transaction_has_no_end(database: Database) -> None:
    with psycopg.connect(database.app_url) as connection, pytest.raises(RuntimeError, match="execute it instead"):
        at_last(connection, _KEY, {"t": "one", "k": "last"})


def test_text_with_a_nul_is_refused_and_not_cut_short(database: Database) -> None:
    with database.tenant("one") as connection, pytest.raises(psycopg.DataError, match="'k' has a NUL"):
        at_last(connection, _KEY, {"t": "one", "k": "key\0another"})
    with pytest.raises(psycopg.DataError, match="'no' has a NUL"), database.asking("one", Question("select %(no)s as n", {"no": "a\0b"})):
        pass
    assert _kept(database) == []


def test_text_is_utf8_whatever_the_environment_says(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    with Database(database.app_url) as elsewhere:
        with elsewhere.tenant("one") as connection:
            at_last(connection, _KEY, {"t": "one", "k": "مفتاح Schlüssel"})
        assert _kept(elsewhere) == ["مفتاح Schlüssel"]
    assert _kept(database) == ["مفتاح Schlüssel"]


def test_a_question_asked_with_the_beginning_is_asked_inside_the_wall(database: Database) -> None:
    for tenant_id in ("one", "two"):
        with database.tenant(tenant_id) as connection:
            connection.execute(_KEY, {"t": tenant_id, "k": tenant_id})
    asked = Question("select count(*) as n, max(key_id) as key from api_keys where key_id <> %(no)s", {"no": "'"})
    with database.asking("one", asked) as (_, row):
        assert row == {"n": 1, "key": "one"}


_COUNT = "select count(*) as n from contacts where contact_id <> %(no)s"
_NEW = "insert into contacts (tenant_id, contact_id, account) values ('one', %s, 'A')"


def _keys(but: str = "") -> Question:
    return Question("select count(*) as keys from api_keys where key_id <> %(key)s", {"key": but})


def test_what_was_asked_ahead_is_answered_as_it_stood_and_anything_else_now(database: Database) -> None:
    count, other = Question(_COUNT, {"no": "contact/x"}), Question(_COUNT, {"no": "contact/a"})
    with database.asking("one", _keys(), ahead=count) as (connection, row):
        assert row == {"keys": 0, "n": 0}
        connection.execute(_NEW, ("contact/a",))
        assert answer_to(connection, count) == row
        assert (answer_to(connection, other), answer_to(connection, _keys())) == ({"n": 0}, {"keys": 0})
    with database.tenant("one") as connection:
        assert answer_to(connection, count) == {"n": 1}, "the answer was the earlier transaction's"
    with database.asking("one", None, ahead=count) as (_, row):
        assert row is None


def test_a_question_without_a_row_takes_none_from_the_one_asked_ahead(database: Database) -> None:
    nobody = Question("select key_id from api_keys where key_id = %(key)s", {"key": "k"})
    count = Question(_COUNT, {"no": "contact/x"})
    with database.asking("one", nobody, ahead=count) as (connection, row):
        assert (row, answer_to(connection, count)) == (None, {"n": 0})


def test_two_questions_do_not_mix_up_their_values() -> None:
    with pytest.raises(ValueError, match="'no'"):
        Question(_COUNT, {"no": "a"}).beside(Question(_COUNT, {"no": "b"}))


def test_a_statement_is_prepared_once_a_connection(database: Database) -> None:
    with database.tenant("one") as connection:
        for key in ("a", "b"):
            answer_to(connection, _keys(key))
        prepared = connection.execute("select statement from pg_prepared_statements").fetchall()
    assert len(prepared) == 1
    assert "select count(*) as keys" in prepared[0]["statement"]


def test_prepared_statements_outlive_rollbacks_and_savepoints(database: Database) -> None:
    def fails_inside() -> None:
        with database.tenant("one") as connection:
            assert answer_to(connection, _keys()) == {"keys": 0}
            for _ in range(9):
                connection.execute("select 1 from contacts where contact_id = %s", ("c",))
            with pytest.raises(LookupError), connection.transaction():
                raise LookupError
            connection.execute("select 1")
            assert answer_to(connection, _keys()) == {"keys": 0}
            raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            fails_inside()


def test_a_block_that_passes_over_an_error_does_not_end_well(database: Database) -> None:
    def goes_on() -> None:
        with database.tenant("one") as connection:
            connection.execute(_KEY, {"t": "one", "k": "first"})
            with suppress(psycopg.errors.UndefinedTable):
                connection.execute("select 1 from nowhere")

    with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="nothing of the transaction is kept"):
        goes_on()
    assert _kept(database) == []


def test_a_question_that_cannot_be_asked_is_told_by_the_server_and_harms_no_later_one(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable), database.asking("one", Question("select 1 from nowhere", {})):
        pass
    with database.asking("one", _keys()) as (_, row):
        assert row == {"keys": 0}


def test_a_connection_lost_under_a_question_is_an_operational_error(database: Database) -> None:
    def asks_a_dead_server() -> None:
        with database.tenant("one") as connection:
            with psycopg.connect(database.app_url, autocommit=True) as killer:
                killer.execute(KILL_OTHERS + " and pid <> pg_backend_pid()")
            answer_to(connection, _keys())

    with pytest.raises(psycopg.OperationalError):
        asks_a_dead_server()
    assert _tenant_seen(database, "one") == "one"


def test_a_connection_that_was_made_to_forget_is_told_anew(database: Database) -> None:
    with Database(database.app_url, max_size=1) as narrow:
        with narrow.tenant("one") as connection:
            answer_to(connection, _keys())
            connection.execute("deallocate all")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName), narrow.asking("one", _keys()):
            pass
        with narrow.asking("one", _keys()) as (_, row):
            assert row == {"keys": 0}


def test_a_database_that_was_away_is_found_by_whoever_asks_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool's own attempts come further and further apart; here the first comes after a minute."""
    monkeypatch.setattr("psycopg_pool.base.AttemptWithBackoff.INITIAL_DELAY", 60.0)
    with Database(database.app_url.replace("127.0.0.1", "127.0.0.2")) as away:
        away._app.timeout = 0.1
        with pytest.raises(psycopg.OperationalError), away.tenant("one"):
            pass
        away._app.conninfo, away._app.timeout = database.app_url, 10
        assert _tenant_seen(away, "one") == "one"
