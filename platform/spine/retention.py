"""How long is kept what serves only to recognise a repetition. What happened (events, audit, effects, decisions) is kept for good.

- **Answers of idempotent calls**, 7 days: a key that comes again later gets no recorded answer and is judged anew. The event that a
  call wrote has an id derived from the key and stays in the log, so even then nothing is started twice.
- **Ids of webhooks received**, 30 days: a provider gives up sending within days. One that comes again after that is taken for new,
  and its event, whose id is derived from the webhook's, is in the log already.
- **Dead letters that were resolved**, 90 days after that, and their bodies with them; the audit log keeps who decided what and why.
  One that is open is never forgotten.
- **Approval tokens**, 30 days after they ran out, used or not, and never while their request still waits: who let them be made is what
  keeps one person from holding two signatures. The audit log keeps that they were made and used.
- **Checkpoints of graphs**, 30 days after their last write: scratch (see `spine.storage`), and longer than any activity is retried.

Real time, since these bound machines, not people; of letters business time, since people resolved them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import LiteralString

from spine.db import Database

CALLS_KEPT = timedelta(days=7)
WEBHOOKS_KEPT = timedelta(days=30)
CHECKPOINTS_KEPT = timedelta(days=30)
TOKENS_KEPT = timedelta(days=30)
LETTERS_KEPT = timedelta(days=90)

_BATCH = 5000  # rows a transaction: a long one that writes would hold back every reader of the log (the safe horizon)
_CALLS: LiteralString = (
    "delete from idempotent_calls where ctid = any(array("
    "select ctid from idempotent_calls where tenant_id = %(tenant)s and created_at < %(before)s limit %(batch)s))"
)
_WEBHOOKS: LiteralString = (
    "delete from webhooks_received where ctid = any(array("
    "select ctid from webhooks_received where tenant_id = %(tenant)s and received_at < %(before)s limit %(batch)s))"
)
_TOKENS: LiteralString = (
    "delete from approval_tokens where ctid = any(array(select t.ctid from approval_tokens t "
    "join approvals a using (tenant_id, approval_id) "
    "where t.tenant_id = %(tenant)s and t.expires_at < %(before)s and a.state <> 'pending' limit %(batch)s))"
)
_LETTERS: LiteralString = (
    "delete from dead_letters where ctid = any(array(select ctid from dead_letters "
    "where tenant_id = %(tenant)s and state <> 'open' and resolved_at < %(before)s limit %(batch)s))"
)


def forget_repetitions(database: Database, tenant_id: str, *, now: datetime, batch: int = _BATCH) -> Mapping[str, int]:
    """Delete a tenant's old answers, webhook ids and approval tokens; returns how many rows of each table. `now` is real time.

    In transactions of `batch` rows: one that fails leaves the earlier ones done, and a second call does the rest.
    """
    return {
        "idempotent_calls": _delete(database, _CALLS, tenant_id, now - CALLS_KEPT, batch),
        "webhooks_received": _delete(database, _WEBHOOKS, tenant_id, now - WEBHOOKS_KEPT, batch),
        "approval_tokens": _delete(database, _TOKENS, tenant_id, now - TOKENS_KEPT, batch),
    }


def forget_letters(database: Database, tenant_id: str, *, now: datetime, batch: int = _BATCH) -> int:
    """Delete a tenant's dead letters that were resolved long ago; returns how many. `now` is business time.

    An event that was given up for good stays `dead` in its group's books, so nothing comes back to life.
    """
    return _delete(database, _LETTERS, tenant_id, now - LETTERS_KEPT, batch)


def _delete(database: Database, statement: LiteralString, tenant_id: str, before: datetime, batch: int) -> int:
    total = 0
    while True:
        with database.tenant(tenant_id) as conn:
            deleted = conn.execute(statement, {"tenant": tenant_id, "before": before, "batch": batch}).rowcount
        total += deleted
        if deleted < batch:
            return total
