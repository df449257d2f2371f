"""Pools of psycopg 3 connections for the two roles that run, made at first use and never at import."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, LiteralString, Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from spine.db.messages import Question, Values, call, row_of, send
from spine.errors import Misconfigured, TenantMismatch
from spine.keyring import Keyring, entrust
from spine.settings import Settings

type_of_row = dict[str, Any]
Connection = psycopg.Connection[type_of_row]
CONNECTIONS = 16
"""At most, in one process and as one role."""


class Database:
    """Transactions on the platform's database. Thread-safe; not fork-safe: make one in each process.

    Rows come back as dictionaries. A block that raises rolls back; a block that ends commits.
    """

    def __init__(self, app_url: str, relay_url: str | None = None, *, max_size: int = CONNECTIONS, keyring: Keyring | None = None) -> None:
        """`keyring` opens what `spine.vault` sealed, on tenants' connections only; without one, addresses are neither kept nor read."""
        self.app_url = app_url
        self.relay_url = relay_url
        self._app = _pool(app_url, max_size, keyring)
        self._relay = _pool(relay_url, max_size) if relay_url else None

    @classmethod
    def from_settings(cls, settings: Settings, *, max_size: int = CONNECTIONS) -> Self:
        relay = settings.database_relay_url
        keyring = Keyring.parse(settings.vault_key.get_secret_value()) if settings.vault_key else None
        return cls(settings.require("database_url"), relay.get_secret_value() if relay else None, max_size=max_size, keyring=keyring)

    @contextmanager
    def tenant(self, tenant_id: str) -> Iterator[Connection]:
        """One transaction inside `tenant_id`'s wall. Raises TenantMismatch for an empty tenant: nobody's rows are anyone's."""
        with self.asking(tenant_id, None) as (connection, _):
            yield connection

    def asking(
        self, tenant_id: str, question: Question | None, ahead: Question | None = None
    ) -> AbstractContextManager[tuple[Connection, type_of_row | None]]:
        """As `tenant`, with the first row that answers a question: it travels with the beginning and costs no round trip of its own.

        So does what is asked `ahead`, one row: `answer_to` gives it to whoever asks for it in this transaction.
        """
        if not tenant_id.strip():
            raise TenantMismatch("no tenant was given: every read and write belongs to one")
        return _transaction(self._app, tenant_id, question, ahead)

    @contextmanager
    def relay(self) -> Iterator[Connection]:
        """One transaction as the dispatchers' role. Raises Misconfigured when this process was not given its address."""
        if self._relay is None:
            raise Misconfigured("SPINE_DATABASE_RELAY_URL is not set: this process may not read events across tenants")
        with _transaction(self._relay, "") as (connection, _):
            yield connection

    def close(self) -> None:
        for pool in (self._app, self._relay):
            if pool is not None:
                pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _pool(url: str, max_size: int, keyring: Keyring | None = None) -> ConnectionPool[Connection]:
    return ConnectionPool(
        url,
        min_size=1,
        max_size=max_size,
        open=False,
        timeout=10,
        reconnect_timeout=2,  # then whoever asks next tries anew: psycopg's 300 s of doubled waits outlast the outage by as much again
        connection_class=psycopg.Connection[type_of_row],
        # Transactions are begun by `_begin`, and values written by `messages.call`, in UTF-8 whatever PGCLIENTENCODING says: see there.
        # Statements are prepared by `messages.call` or not at all: psycopg, where it prepares, has the server forget all of them at times.
        kwargs={"row_factory": dict_row, "autocommit": True, "client_encoding": "utf8", "prepare_threshold": None},
        configure=(lambda connection: entrust(connection, keyring)) if keyring else None,
    )


@dataclass(slots=True)
class _Open:
    """What this process knows of a transaction that it has begun."""

    wall: str
    ahead: Question | None = None
    answer: type_of_row | None = None
    last: list[bytes] = field(default_factory=list)


_OPEN: "WeakKeyDictionary[psycopg.Connection[Any], _Open]" = WeakKeyDictionary()


@contextmanager
def _transaction(
    pool: ConnectionPool[Connection], tenant_id: str, question: Question | None = None, ahead: Question | None = None
) -> Iterator[tuple[Connection, type_of_row | None]]:
    """A transaction inside a wall, on a connection that answered its beginning: that statement is the liveness check too."""
    if pool.closed:
        pool.open()  # idempotent and locked inside the pool
    connection: Connection | None = pool.getconn()
    assert connection is not None, "the pool gives one or raises"
    try:
        try:
            answer = _begin(connection, tenant_id, question, ahead)
        except psycopg.OperationalError:
            # Nothing was done on it yet. Connections die together, when the server restarts; the pool by itself would find
            # them one at a time, doubling its wait at each.
            failed, connection = connection, None  # given back once: a live one may be another's before the pool gives us our next
            pool.putconn(failed)
            pool.check()
            connection = pool.getconn()
            answer = _begin(connection, tenant_id, question, ahead)
        try:
            yield connection, answer
            _commit(connection, _OPEN[connection].last)
        except BaseException:
            _roll_back(connection)
            raise
    finally:
        if connection is not None:
            _OPEN.pop(connection, None)
            pool.putconn(connection)


def _begin(connection: Connection, tenant_id: str, question: Question | None, ahead: Question | None) -> type_of_row | None:
    """BEGIN and the wall in one message: psycopg's own BEGIN would be a round trip of its own, in every transaction there is."""
    asked = question.beside(ahead) if question else ahead
    message = [_beginning(tenant_id)] if asked is None else [_beginning(tenant_id), call(connection, asked)]
    result = send(connection, b"; ".join(message))
    _OPEN[connection] = opened = _Open(tenant_id)
    if asked is None:
        return None
    row = row_of(connection, result)
    if row is not None:
        opened.ahead, opened.answer = ahead, row
    return row if question else None


def _commit(connection: Connection, last: Sequence[bytes]) -> None:
    """End a transaction that went well. Raises what a last statement raises, and InFailedSqlTransaction where an error was passed over:
    the server takes a COMMIT after it, says nothing, and keeps nothing."""
    if connection.pgconn.transaction_status == TransactionStatus.INERROR:
        raise psycopg.errors.InFailedSqlTransaction("a statement failed and the block went on: nothing of the transaction is kept")
    send(connection, b"; ".join([*last, b"commit"]))


def _roll_back(connection: Connection) -> None:
    """Undo what is not committed, if anything; a connection that is lost has done that by itself, and the pool replaces it.

    Not psycopg's: after its own, psycopg has the server forget every prepared statement, those of `messages` among them.
    """
    if connection.pgconn.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
        with suppress(psycopg.OperationalError):
            send(connection, b"rollback")


def answer_to(connection: Connection, question: Question) -> type_of_row | None:
    """The first row that answers a question: the one that came with the transaction's beginning, where it was asked ahead; else asked now.

    What was asked ahead is as it stood at the beginning.
    """
    opened = _OPEN.get(connection)
    if opened is not None and opened.answer is not None and opened.ahead == question:
        return opened.answer
    return row_of(connection, send(connection, call(connection, question)))


def at_last(connection: Connection, statement: LiteralString, values: Values) -> None:
    """Have the transaction end with this statement, after others left for its end, in one message with its COMMIT: all take effect, or
    nothing of the transaction.

    It does not run now, and a savepoint around this call does not take it back; what it raises comes out of the end of
    `Database.tenant`. Raises psycopg.DataError for text with a NUL.
    """
    if (opened := _OPEN.get(connection)) is None:
        raise RuntimeError("only a transaction of Database has an end to leave a statement for: execute it instead")
    opened.last.append(call(connection, Question(statement, values)))


@lru_cache(maxsize=1024)
def _beginning(tenant_id: str) -> bytes:
    return sql.SQL("begin; select set_config('spine.tenant_id', {}, true)").format(sql.Literal(tenant_id)).as_bytes()


def wall_of(connection: Connection) -> str:
    """The tenant inside whose wall a transaction runs, as the database itself has it; "" for none."""
    if (known := _OPEN.get(connection)) is not None:
        return known.wall
    row = connection.execute("select current_setting('spine.tenant_id', true) as tenant_id").fetchone()
    return (row or {}).get("tenant_id") or ""
