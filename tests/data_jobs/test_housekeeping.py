"""What only recognised repetitions is forgotten when its time is up, and nothing else is."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from data_jobs.defs.housekeeping.assets import HOUSEKEEPING
from shared.events import ActorType
from spine import deadletters
from spine.audit import Actor
from spine.db import Database
from spine.retention import forget_letters, forget_repetitions
from spine.storage import Checkpointer
from tests.data_jobs.conftest import Plane, failure_of, metadata_of

NOW = datetime.now(UTC)


def remember(database: Database, tenant: str, name: str, age: timedelta) -> None:
    """A call and a webhook, both of this age."""
    with database.tenant(tenant) as conn:
        conn.execute(
            "insert into idempotent_calls (tenant_id, principal_id, idempotency_key, fingerprint, status, body, created_at) "
            "values (%s, 'ops', %s, 'f', 202, '{}', %s)",
            (tenant, name, NOW - age),
        )
        conn.execute(
            "insert into webhooks_received (tenant_id, provider, webhook_id, received_at) values (%s, 'esign', %s, %s)",
            (tenant, name, NOW - age),
        )


def left(database: Database, tenant: str) -> tuple[list[str], list[str]]:
    with database.tenant(tenant) as conn:
        calls = conn.execute("select idempotency_key as name from idempotent_calls order by 1").fetchall()
        webhooks = conn.execute("select webhook_id as name from webhooks_received order by 1").fetchall()
    return [row["name"] for row in calls], [row["name"] for row in webhooks]


def test_calls_are_forgotten_after_a_week_and_webhooks_after_a_month_of_this_tenant_only(database: Database) -> None:
    ages = {"a-new": timedelta(hours=1), "b-days": timedelta(days=8), "c-months": timedelta(days=31)}
    for tenant in ("demo", "rival"):
        for name, age in ages.items():
            remember(database, tenant, name, age)
    assert forget_repetitions(database, "demo", now=NOW) == {"idempotent_calls": 2, "webhooks_received": 1, "approval_tokens": 0}
    assert left(database, "demo") == (["a-new"], ["a-new", "b-days"])
    assert left(database, "rival") == (sorted(ages), sorted(ages))
    assert forget_repetitions(database, "demo", now=NOW) == {"idempotent_calls": 0, "webhooks_received": 0, "approval_tokens": 0}


def test_what_is_more_than_a_batch_is_forgotten_too(database: Database) -> None:
    for number in range(5):
        remember(database, "demo", str(number), timedelta(days=40))
    assert forget_repetitions(database, "demo", now=NOW, batch=2) == {"idempotent_calls": 5, "webhooks_received": 5, "approval_tokens": 0}
    assert left(database, "demo") == ([], [])


def test_one_tenant_cannot_make_another_forget(database: Database) -> None:
    remember(database, "rival", "old", timedelta(days=40))
    with database.tenant("demo") as conn:
        assert conn.execute("delete from idempotent_calls").rowcount == 0
        assert conn.execute("delete from webhooks_received").rowcount == 0
    assert left(database, "rival") == (["old"], ["old"])


def test_resolved_letters_are_forgotten_after_a_quarter_and_open_ones_never(database: Database) -> None:
    ana = Actor(ActorType.HUMAN, "ana")
    with database.tenant("demo") as conn:
        for name in ("open", "recent", "old"):
            letter = deadletters.add(
                conn, tenant_id="demo", plane="event", reference=name, consumer="revenue", correlation_id=None, error_code="bad", error="",
                attempts=1, body={}, now=NOW - timedelta(days=400),
            )  # fmt: skip
            if name != "open":
                resolved = NOW - timedelta(days=89 if name == "recent" else 91)
                deadletters.discard(conn, tenant_id="demo", dead_letter_id=letter, actor=ana, reason="a test", now=resolved)
    assert forget_letters(database, "rival", now=NOW) == 0
    assert forget_letters(database, "demo", now=NOW) == 1
    with database.tenant("demo") as conn:
        left = deadletters.listing(conn, tenant_id="demo", state=None).items
    assert sorted(one.reference for one in left) == ["open", "recent"]


def test_the_daily_run_shows_what_it_forgot(
    plane: Plane, database: Database, checkpoints_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_LANGGRAPH_DATABASE_URL", checkpoints_url)
    remember(database, "demo", "old", timedelta(days=31))
    with Checkpointer(checkpoints_url) as checkpoints:
        for thread, age in (("demo/w1/0", 40), ("demo/w2/0", 20)):
            checkpoint = empty_checkpoint() | {"ts": (NOW - timedelta(days=age)).isoformat()}
            checkpoints.saver().put({"configurable": {"thread_id": thread, "checkpoint_ns": ""}}, checkpoint, {}, {})
    done = plane.run("housekeeping")
    assert done.success, failure_of(done)
    forgotten = {"idempotent_calls": 1, "webhooks_received": 1, "approval_tokens": 0, "dead_letters": 0, "checkpoint_threads": 1}
    told = metadata_of(done, HOUSEKEEPING)
    assert {name: told[name] for name in forgotten} == forgotten
    assert left(database, "demo") == ([], [])
    with psycopg.connect(checkpoints_url) as conn:
        assert conn.execute("select thread_id from checkpoints").fetchall() == [("demo/w2/0",)]


def test_without_checkpoints_address_the_run_fails_and_says_which_setting(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPINE_LANGGRAPH_DATABASE_URL", raising=False)
    done = plane.run("housekeeping")
    assert not done.success
    assert "SPINE_LANGGRAPH_DATABASE_URL is not set" in failure_of(done)
