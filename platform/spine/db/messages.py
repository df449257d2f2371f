"""Several statements in one message, each prepared once a connection: what a transaction begins with, and what it ends with.

The driver sends one statement and waits for its answer, and a plan that is made anew costs more than most of ours take to run. Here a
statement is prepared where a connection first needs it (SQL `prepare`), and from then on called by its name (`execute`), together with
others, in one message of the simple protocol. Values are quoted by libpq; nothing here takes text that is not a literal of the code.
The connection must not prepare by psycopg beside it (`prepare_threshold=None`): now and then that has the server forget all it prepared.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from typing import Any, LiteralString, NamedTuple, Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, Escaping, ExecStatus
from psycopg.pq.abc import PGresult

Values = Mapping[str, str | int]
_PLACE = re.compile(r"%\((\w+)\)s")
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Question(NamedTuple):
    """A query, and its values by name (`%(name)s`; a percent sign is `%%`). The same text with the same values is the same question."""

    statement: LiteralString
    values: Values

    def beside(self, other: Self | None) -> "Question":
        """Both as one question: a row of this one has the columns of the other too, which is one row, always.

        Raises ValueError where both give the same name to different values.
        """
        if other is None:
            return self
        for name in self.values.keys() & other.values.keys():
            if self.values[name] != other.values[name]:
                raise ValueError(f"two questions give the name {name!r} to different values: rename one")
        return Question(_side_by_side(self.statement, other.statement), {**self.values, **other.values})


@lru_cache(maxsize=64)
def _side_by_side(one: LiteralString, other: LiteralString) -> str:
    return sql.SQL("select * from ({}) one cross join ({}) other").format(sql.SQL(one), sql.SQL(other)).as_string()


class _Prepared(NamedTuple):
    name: str
    parameters: tuple[str, ...]


_NUMBERS = count(1)
_PREPARED: "WeakKeyDictionary[psycopg.Connection[Any], dict[str, _Prepared]]" = WeakKeyDictionary()


def call(connection: psycopg.Connection[Any], question: Question) -> bytes:
    """The statement that answers a question, for a message; the server is told of its text now, unless this connection has told it.

    Raises psycopg.DataError for text with a NUL, as psycopg does for a parameter, and what the server says of the text.
    """
    known = _PREPARED.setdefault(connection, {})
    if (prepared := known.get(question.statement)) is None:
        parameters = tuple(dict.fromkeys(_PLACE.findall(question.statement)))
        prepared = _Prepared(f"spine_{next(_NUMBERS)}", parameters)
        text = question.statement % {name: f"${place}" for place, name in enumerate(parameters, 1)}
        send(connection, f"prepare {prepared.name} as {text}".encode())
        known[question.statement] = prepared
    quoted = Escaping(connection.pgconn).escape_literal
    values = b", ".join([quoted(_utf8(name, str(question.values[name]))) for name in prepared.parameters])
    return b"execute %s(%s)" % (prepared.name.encode(), values) if values else b"execute %s" % prepared.name.encode()


def send(connection: psycopg.Connection[Any], message: bytes) -> PGresult:
    """Send a message and wait for its end: what its last statement answered. Raises psycopg's error for the first that failed.

    The waiting is libpq's own, so an interrupt from the keyboard is noticed when the server has answered.
    """
    result = connection.pgconn.exec_(message)
    if result.status in _DONE:
        return result
    if connection.pgconn.status == ConnStatus.BAD:
        raise psycopg.OperationalError(f"the connection is lost: {result.get_error_message()}")
    error = psycopg.errors.error_from_result(result)
    if isinstance(error, psycopg.errors.InvalidSqlStatementName):
        _PREPARED.pop(connection, None)  # somebody had the server forget: this one fails, the next is told of its texts anew
    raise error


def row_of(connection: psycopg.Connection[Any], result: PGresult) -> dict[str, Any] | None:
    """The first row, by the names of its columns; None where there is none."""
    if not result.ntuples:
        return None
    reader = Transformer.from_context(connection)
    reader.set_pgresult(result)
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return dict(zip(names, reader.load_row(0, tuple), strict=True))


def _utf8(name: str, text: str) -> bytes:
    if "\0" in text:  # libpq would end the text there, and say nothing
        raise psycopg.DataError(f"value {name!r} has a NUL (0x00) in it, which no text of PostgreSQL can hold: take it out")
    return text.encode()
