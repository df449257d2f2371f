"""Checkpoints of graphs, in LangGraph's own database.

A checkpoint is scratch: the business step is Temporal's, and losing every checkpoint costs repeated model calls, no more.
`setup_checkpoints` is a migration step; `Checkpointer` is made once in each process and hands out savers.

Thread ids are `{tenant}/{workflow}/{step}`, see `thread_id`.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from spine.errors import InvalidInput, Misconfigured

if TYPE_CHECKING:
    from langgraph.checkpoint.postgres import PostgresSaver

    from spine.settings import Settings

_LOCK = 7_234_002  # advisory lock of "someone is setting up checkpoints"; any constant of ours
_TABLES = ["checkpoints", "checkpoint_blobs", "checkpoint_writes"]

# What the saver needs of a connection, each for a reason of its own (traps 36, 37): setup and its concurrent indexes refuse a
# transaction, transaction-mode poolers lose prepared statements, and rows are read by name.
_CONNECTION: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


def thread_id(tenant_id: str, workflow_id: str, step: str) -> str:
    """The checkpoint thread of one step of one workflow. Raises InvalidInput for an empty part or a tenant with a '/' in it."""
    if not (tenant_id.strip() and workflow_id.strip() and step.strip()) or "/" in tenant_id:
        raise InvalidInput(f"a thread needs a tenant without '/', a workflow and a step, got {tenant_id!r}, {workflow_id!r}, {step!r}")
    return f"{tenant_id}/{workflow_id}/{step}"


def setup_checkpoints(url: str, *, timeout: float = 30) -> None:
    """Make or migrate the tables, as the owner of the database. Repeatable, and safe from several processes at once.

    LangGraph's own `setup` is neither safe at once nor quick to fail: it builds indexes concurrently, which waits for every
    open transaction of the database. So one caller works at a time, and an open transaction that outlasts `timeout` seconds
    ends in a Misconfigured that names the session in the way.
    """
    from langgraph.checkpoint.postgres import PostgresSaver

    deadline = time.monotonic() + timeout
    with psycopg.connect(url, **_CONNECTION) as connection:
        # Tried, not waited for: a waiting statement is itself an open transaction, and the index build would wait for it in turn.
        while not _is_ours(connection):
            if time.monotonic() > deadline:
                raise Misconfigured(f"another process has been setting up checkpoints for {timeout:g} s: see pg_stat_activity")
            time.sleep(0.05)
        _drop_unfinished_indexes(connection)
        connection.execute(f"set statement_timeout = {int(timeout * 1000)}")
        try:
            PostgresSaver(connection).setup()
        except psycopg.errors.QueryCanceled as error:
            raise Misconfigured(f"checkpoint tables were not ready after {timeout:g} s: {_in_the_way(connection)}") from error


class Checkpointer:
    """Savers on one pool. Thread-safe, not fork-safe; the pool opens at the first use.

    Strict about what a checkpoint may bring to life: the types named to `saver`, and the harmless ones that LangGraph lists.
    Its default imports and calls whatever the bytes name (trap 38), so whoever can write a checkpoint could run code here.
    """

    def __init__(self, url: str, *, max_size: int = 8) -> None:
        self._pool: ConnectionPool[psycopg.Connection[dict[str, Any]]] = ConnectionPool(
            url, min_size=0, max_size=max_size, open=False, timeout=10, kwargs=_CONNECTION, check=self._check
        )

    @classmethod
    def from_settings(cls, settings: "Settings") -> Self:
        return cls(settings.require("langgraph_database_url"))

    def saver(self, types: Sequence[type] = ()) -> "PostgresSaver":
        """A saver for a graph whose state holds `types` beside plain values."""
        from langgraph.checkpoint.postgres import PostgresSaver
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

        self._pool.open()
        return PostgresSaver(self._pool, serde=JsonPlusSerializer(allowed_msgpack_modules=list(types)))

    def _check(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        """Connections die together, when the server restarts. The pool alone would find them one at a time, doubling its wait at each."""
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.Error:
            self._pool.check()
            raise

    def forget(self, thread_ids: Iterable[str]) -> None:
        """Delete every checkpoint of these threads, in one transaction; unknown ones are none."""
        self.saver().prune(list(thread_ids), strategy="delete")

    def prune(self, before: datetime) -> int:
        """Delete the threads that wrote nothing since `before` (aware); returns how many.

        Finished or abandoned, they are scratch: choose `before` older than the last retry of any activity.
        """
        if before.tzinfo is None:
            raise InvalidInput(f"before={before!r} has no zone")
        self._pool.open()
        with self._pool.connection() as connection:
            rows = connection.execute(
                "select thread_id from checkpoints group by thread_id having max((checkpoint ->> 'ts')::timestamptz) < %s", (before,)
            ).fetchall()
        self.forget(row["thread_id"] for row in rows)
        return len(rows)

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _is_ours(connection: psycopg.Connection[dict[str, Any]]) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s) as ours", (_LOCK,)).fetchone()
    return row is not None and row["ours"]


def _drop_unfinished_indexes(connection: psycopg.Connection[dict[str, Any]]) -> None:
    """An index build that was cut short leaves an invalid index, which `if not exists` would take for a good one, for ever."""
    unfinished = connection.execute(
        "select quote_ident(c.relname) as name from pg_index i "
        "join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid "
        "where not i.indisvalid and t.relname = any(%s) and t.relnamespace = current_schema()::regnamespace",
        (_TABLES,),
    ).fetchall()
    for index in unfinished:
        connection.execute(f"drop index {index['name']}")


def _in_the_way(connection: psycopg.Connection[dict[str, Any]]) -> str:
    oldest = connection.execute(
        "select pid, application_name, state, query_start from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid() and state <> 'idle' order by xact_start limit 1"
    ).fetchone()
    if oldest is None:
        return "no session of this role is in the way, look for others in pg_stat_activity"
    return f"session {oldest['pid']} ({oldest['application_name'] or 'unnamed'}) is {oldest['state']!r} since {oldest['query_start']}"
