"""The checkpoint database: set up once, by many; strict; pruned by age."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from spine.errors import InvalidInput, Misconfigured
from spine.storage import Checkpointer, setup_checkpoints, thread_id


def put(checkpointer: Checkpointer, thread: str, at: datetime) -> None:
    config = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    checkpointer.saver().put(config, {**empty_checkpoint(), "ts": at.isoformat()}, {"source": "loop", "step": 0, "parents": {}}, {})


def threads(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("select distinct thread_id from checkpoints")}


def test_six_processes_that_set_up_at_once_all_succeed(langgraph_url: str) -> None:
    start = threading.Barrier(6)

    def run() -> None:
        start.wait()
        setup_checkpoints(langgraph_url)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(run) for _ in range(6)]:
            done.result(60)
    with psycopg.connect(langgraph_url) as connection:
        assert connection.execute("select count(*) from pg_index where not indisvalid").fetchone() == (0,)


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


def test_only_threads_that_rested_long_enough_are_pruned(checkpoints_url: str) -> None:
    now = datetime.now(UTC)
    with Checkpointer(checkpoints_url) as checkpointer:
        put(checkpointer, "demo/w1/0", now - timedelta(days=40))
        put(checkpointer, "demo/w2/0", now - timedelta(days=40))
        put(checkpointer, "demo/w2/0", now)
        assert checkpointer.prune(now - timedelta(days=30)) == 1
        assert threads(checkpoints_url) == {"demo/w2/0"}
        checkpointer.forget(["demo/w2/0", "demo/unknown/0"])
        assert threads(checkpoints_url) == set()
        assert checkpointer.prune(now) == 0
        with pytest.raises(InvalidInput, match="no zone"):
            checkpointer.prune(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


@pytest.mark.parametrize("parts", [("", "w", "0"), ("demo", " ", "0"), ("demo", "w", ""), ("a/b", "w", "0")])
def test_a_thread_belongs_to_one_tenant_workflow_and_step(parts: tuple[str, str, str]) -> None:
    assert thread_id("demo", "demo/outreach-sequence/L1", "0") == "demo/demo/outreach-sequence/L1/0"
    with pytest.raises(InvalidInput):
        thread_id(*parts)
