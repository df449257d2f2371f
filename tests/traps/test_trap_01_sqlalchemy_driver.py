"""SQLAlchemy 2.1 takes a bare `postgresql://` for psycopg 3, and dagster-postgres breaks on that driver.

Its event log runs `NOTIFY channel, %(id)s`, which psycopg 3 sends as a bind, and PostgreSQL refuses one there. So the stack
writes `postgresql+psycopg2://`. When the last test here fails, dagster-postgres has learnt psycopg 3 and the detour can go.
"""

import threading
from collections.abc import Iterator
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.instance_for_test import instance_for_test
from psycopg import sql
from sqlalchemy import make_url

from spine.stack.dagster_home import sqlalchemy_url
from spine.stack.postgres import EmbeddedPostgres

DATABASE = "dagster_trap_01"


@pytest.fixture
def dagster_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, DATABASE, like="dagster")
        yield postgres.url("dagster", DATABASE)
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(DATABASE)))


def storage(url: str) -> dict[str, Any]:
    return {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}


@dg.op
def said() -> None: ...


@dg.job
def saying() -> None:
    said()


@dg.asset
def made() -> int:
    return 1


def test_dagster_runs_materializes_and_watches_on_the_driver_that_the_stack_writes(dagster_url: str, tmp_path: Any) -> None:
    with instance_for_test(overrides=storage(sqlalchemy_url(dagster_url)), temp_dir=str(tmp_path)) as instance:
        run = saying.execute_in_process(instance=instance)
        assert run.success
        assert dg.materialize([made], instance=instance).success
        assert instance.get_latest_materialization_event(made.key) is not None

        seen, heard = [], threading.Event()

        def watch(event: dg.EventLogEntry, _cursor: str) -> None:
            seen.append(event)
            heard.set()

        instance.watch_event_logs(run.run_id, None, watch)
        instance.report_engine_event("after the watch began", run.dagster_run)
        assert heard.wait(10), "no NOTIFY arrived"
        instance.end_watch_event_logs(run.run_id, watch)


def test_a_bare_address_means_psycopg_3_and_dagsters_event_log_fails_on_it(dagster_url: str, tmp_path: Any) -> None:
    assert make_url(dagster_url).get_dialect().driver == "psycopg"
    with (
        pytest.raises(Exception, match=r"syntax error at or near \"\$1\""),
        instance_for_test(overrides=storage(dagster_url), temp_dir=str(tmp_path)) as instance,
    ):
        saying.execute_in_process(instance=instance)
