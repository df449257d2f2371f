"""`PostgresSaver.setup()` fails in a transaction, fails when several call it at once, and waits for open transactions.

So it runs once, in `spine.storage.setup_checkpoints`: outside a transaction, under an advisory lock, with a time limit.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.rows import dict_row

from spine.errors import Misconfigured
from spine.storage import setup_checkpoints


def test_setup_refuses_to_run_in_a_transaction(langgraph_url: str) -> None:
    with (
        psycopg.connect(langgraph_url, row_factory=dict_row, prepare_threshold=0) as connection,
        pytest.raises(psycopg.errors.ActiveSqlTransaction),
    ):
        PostgresSaver(connection).setup()


def test_bare_setups_at_once_trip_over_each_other(langgraph_url: str) -> None:
    start = threading.Barrier(6)

    def bare() -> None:
        with psycopg.connect(langgraph_url, autocommit=True, row_factory=dict_row, prepare_threshold=0) as connection:
            start.wait()
            PostgresSaver(connection).setup()

    with ThreadPoolExecutor(6) as pool:
        failures = [done.exception(60) for done in [pool.submit(bare) for _ in range(6)]]
    assert [failure for failure in failures if failure is not None], "setup has learnt to run in parallel: the lock can go"


def test_ours_run_at_once_and_leave_whole_tables(langgraph_url: str) -> None:
    start = threading.Barrier(6)

    def ours() -> None:
        start.wait()
        setup_checkpoints(langgraph_url)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(ours) for _ in range(6)]:
            done.result(60)
    with psycopg.connect(langgraph_url) as connection:
        assert connection.execute("select count(*) from pg_index where not indisvalid").fetchone() == (0,)
        assert connection.execute("select max(v) from checkpoint_migrations").fetchone() == (len(PostgresSaver.MIGRATIONS) - 1,)


def test_an_open_transaction_in_the_way_is_named_and_the_next_setup_is_whole(langgraph_url: str) -> None:
    with psycopg.connect(langgraph_url, application_name="forgetful") as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # it keeps its snapshot, as a long-running statement does
        other.execute("select 1")
        with pytest.raises(Misconfigured, match=r"session \d+ \(forgetful\) is 'idle in transaction'"):
            setup_checkpoints(langgraph_url, timeout=0.5)
    setup_checkpoints(langgraph_url)
    with psycopg.connect(langgraph_url) as connection:
        valid = connection.execute(
            "select bool_and(indisvalid), count(*) from pg_index where indexrelid::regclass::text like '%thread_id_idx'"
        )
        assert valid.fetchone() == (True, 3)
