"""An intent that is allowed and carried out in one transaction, with its audit rows and events, in one statement.

What `gate.enter` otherwise writes in three, one after the other. All rows or none, as in any statement; and none when the intent's
revision is taken. Whoever can do it all over again may leave the statement for the end of the transaction (`db.at_last`), where it
costs no round trip of its own; that the revision is taken shows only then, and undoes the transaction.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.errors import UniqueViolation

from spine import audit, db
from spine.audit import Entry
from spine.db import Connection, Question, answer_to
from spine.eventlog.append import insert_from as events_from
from spine.eventlog.append import written as events_written
from spine.intents.internal import Done
from spine.intents.rows import COLUMNS, document_of

_IF_ENTERED: LiteralString = "where exists (select from entered)"
_REVISION = "intents_tenant_id_automation_key_revision_key"
_TEMPLATE = sql.SQL(
    "with given as materialized (select %(all_of_it)s::jsonb as all_of_it), "
    "entered as (insert into intents ({columns}) "
    "select {columns} from given, jsonb_populate_record(null::intents, all_of_it->'intent') {when_taken} returning 1), "
    "told as ({events}), written as ({rows}) select count(*) as entered from entered"
)


def _statement(when_taken: LiteralString) -> str:
    return _TEMPLATE.format(
        columns=sql.SQL(COLUMNS),
        when_taken=sql.SQL(when_taken),
        events=events_from("(select all_of_it->'events' from given)", where=_IF_ENTERED),
        rows=audit.insert_from("(select all_of_it->'audit' from given)", where=_IF_ENTERED),
    ).as_string()


_NOW = _statement("on conflict (tenant_id, automation, key, revision) do nothing")
_AT_LAST = _statement("")


class RevisionTaken(Exception):
    """The transaction that was to end with an intent left nothing: another one entered that revision. Do it again, looking first."""


@contextmanager
def revision_free() -> Iterator[None]:
    """Around a transaction that ends with `write(at_last=True)`. Raises RevisionTaken."""
    try:
        yield
    except UniqueViolation as error:
        if error.diag.constraint_name != _REVISION:
            raise
        raise RevisionTaken from None


def write(conn: Connection, finished: Done, entries: Sequence[Entry], *, now: datetime, at_last: bool) -> bool:
    """False: the revision is taken, and nothing was written. Always True with `at_last`, see `revision_free`.

    Raises what `eventlog.append` raises.
    """
    events = events_written(conn, finished.envelopes)
    rows = audit.written(entries, tenant_id=finished.intent.tenant_id, now=now)
    all_of_it = f'{{"intent": {document_of(finished.intent)}, "events": {events}, "audit": {rows}}}'
    if at_last:
        db.at_last(conn, _AT_LAST, {"all_of_it": all_of_it})
        return True
    row = answer_to(conn, Question(_NOW, {"all_of_it": all_of_it}))
    return bool(row and row["entered"])
