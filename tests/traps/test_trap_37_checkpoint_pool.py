"""A saver on one connection serves one caller at a time, and wants that connection in a state that nobody sets by default.

Ours hands out savers on a pool whose connections are in autocommit, read rows by name and prepare nothing for later.
"""

import threading
import time
from typing import TypedDict

import psycopg
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import START, StateGraph
from psycopg.rows import dict_row

from spine.storage import Checkpointer


class Counted(TypedDict):
    count: int


def graph(saver: PostgresSaver, meet: threading.Barrier | None = None):
    def count(state: Counted) -> Counted:
        if meet is not None:
            meet.wait(10)
        return {"count": state["count"] + 1}

    return StateGraph(Counted).add_node("count", count).add_edge(START, "count").compile(checkpointer=saver)


def test_one_saver_serves_one_caller_at_a_time(checkpoints_url: str) -> None:
    with Checkpointer(checkpoints_url) as checkpointer:
        saver = checkpointer.saver()
        with saver._cursor():
            assert saver.lock.locked(), "a saver has learnt to serve several at once: one a run is no longer needed"
        assert saver is not checkpointer.saver()


def test_connections_are_handed_over_as_the_saver_needs_them(checkpoints_url: str) -> None:
    with Checkpointer(checkpoints_url) as checkpointer, checkpointer.saver()._cursor() as cursor:
        connection = cursor.connection
        assert connection.autocommit
        assert connection.prepare_threshold == 0
        assert connection.row_factory is dict_row


def test_savers_of_ours_serve_many_at_once_and_survive_a_lost_connection(checkpoints_url: str) -> None:
    meet = threading.Barrier(4)
    results: list[int] = []
    with Checkpointer(checkpoints_url, max_size=4) as checkpointer:

        def run(thread: str) -> None:
            results.append(graph(checkpointer.saver(), meet).invoke({"count": 0}, {"configurable": {"thread_id": thread}})["count"])

        runners = [threading.Thread(target=run, args=(str(number),)) for number in range(4)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join(20)
        assert results == [1, 1, 1, 1]
        with psycopg.connect(checkpoints_url, autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
        began = time.monotonic()
        again = graph(checkpointer.saver()).get_state({"configurable": {"thread_id": "0"}})
        assert again.values == {"count": 1}
        assert time.monotonic() - began < 2, "the pool by itself waits longer at each dead connection that it meets"
