"""What the providers received, in a file that outlives them.

Every request that reached a provider is a row of `received`; `made` says whether it changed the provider's world (a mail
accepted, an envelope created, a record changed) or was recognised as a repetition. Exactly once means: per key, one row made.
"""

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = normal;
create table if not exists received (
    position integer primary key, at real not null, provider text not null, operation text not null,
    key text not null, made integer not null, body text not null
);
create table if not exists objects (
    provider text not null, object_id text not null, key text not null, body text not null, primary key (provider, object_id)
);
create index if not exists objects_by_key on objects (provider, key);
create table if not exists webhooks (
    webhook_id text primary key, body text not null, attempts integer not null default 0,
    next_at real not null, delivered_at real
);
"""


class ProviderLedger:
    """Thread-safe; each write is on disk before the provider answers."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def record(self, provider: str, operation: str, key: str, body: dict[str, Any], *, made: bool) -> None:
        with self._lock:
            self._db.execute(
                "insert into received (at, provider, operation, key, made, body) values (?, ?, ?, ?, ?, ?)",
                (time.time(), provider, operation, key, made, json.dumps(body)),
            )

    def entries(self, provider: str | None = None) -> list[dict[str, Any]]:
        """Everything received, in order."""
        with self._lock:
            rows = self._db.execute("select * from received where ? is null or provider = ? order by position", (provider, provider))
            return [{**dict(row), "made": bool(row["made"]), "body": json.loads(row["body"])} for row in rows]

    def counts(self) -> dict[str, dict[str, int]]:
        """By provider: requests received, effects made, distinct keys among those, and `duplicates` = effects - keys."""
        with self._lock:
            rows = self._db.execute(
                "select provider, count(*) as received, sum(made) as effects, "
                "count(distinct case when made then operation || ' ' || key end) as keys from received group by provider"
            ).fetchall()
        return {
            row["provider"]: {
                "received": row["received"],
                "effects": row["effects"],
                "keys": row["keys"],
                "duplicates": row["effects"] - row["keys"],
            }
            for row in rows
        }

    def keep(self, provider: str, object_id: str, key: str, body: dict[str, Any]) -> None:
        """Write an object of the provider's: an envelope, a record."""
        with self._lock:
            self._db.execute(
                "insert into objects (provider, object_id, key, body) values (?, ?, ?, ?) "
                "on conflict (provider, object_id) do update set key = excluded.key, body = excluded.body",
                (provider, object_id, key, json.dumps(body)),
            )

    def object(self, provider: str, object_id: str) -> dict[str, Any] | None:
        return self._one("select body from objects where provider = ? and object_id = ?", provider, object_id)

    def object_by_key(self, provider: str, key: str) -> dict[str, Any] | None:
        return self._one("select body from objects where provider = ? and key = ?", provider, key)

    def objects(self, provider: str, status: str) -> list[dict[str, Any]]:
        query = "select body from objects where provider = ? and json_extract(body, '$.status') = ?"
        with self._lock:
            return [json.loads(row["body"]) for row in self._db.execute(query, (provider, status))]

    def owe_webhook(self, webhook_id: str, body: dict[str, Any]) -> None:
        """Write down a webhook that has to be delivered, once, however often it is owed."""
        with self._lock:
            self._db.execute(
                "insert into webhooks (webhook_id, body, next_at) values (?, ?, ?) on conflict do nothing",
                (webhook_id, json.dumps(body), time.time()),
            )

    def due_webhooks(self) -> list[tuple[str, str, int]]:
        """(id, body, attempts so far) of those whose time has come."""
        with self._lock:
            rows = self._db.execute("select * from webhooks where delivered_at is null and next_at <= ?", (time.time(),))
            return [(row["webhook_id"], row["body"], row["attempts"]) for row in rows]

    def webhook_tried(self, webhook_id: str, *, delivered: bool, next_in_seconds: float) -> None:
        with self._lock:
            self._db.execute(
                "update webhooks set attempts = attempts + 1, delivered_at = ?, next_at = ? where webhook_id = ?",
                (time.time() if delivered else None, time.time() + next_in_seconds, webhook_id),
            )

    def locked(self) -> threading.RLock:
        """For a provider that looks before it writes: `with ledger.locked(): …`."""
        return self._lock

    def _one(self, query: str, *parameters: str) -> dict[str, Any] | None:
        with self._lock:
            row = self._db.execute(query, parameters).fetchone()
        return json.loads(row["body"]) if row else None
