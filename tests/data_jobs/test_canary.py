"""A canary group whose effects fail too often is held by the job that watches it, end to end."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from data_jobs.defs.canary.assets import CANARY
from shared.events import ActorType, EffectRecorded
from spine import eventlog
from spine.audit import Actor
from spine.db import Database
from spine.policy import Canary, canary
from spine.policy.canary import Group
from tests.data_jobs.conftest import Plane, checks_of, metadata_of


def test_a_group_past_its_stop_loss_is_held_and_the_check_fails_until_a_person_releases_it(
    plane: Plane, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINE_DATABASE_RELAY_URL", database.relay_url or "")
    ana = Actor(ActorType.HUMAN, "ana")
    with database.relay() as conn:
        group = Group(automation="outreach-sequence", percentage=Decimal(100), stop_loss=Decimal("0.2"), stop_loss_from=4)
        canary.put(conn, group, tenant_id="demo", actor=ana, now=datetime.now(UTC))
    assert checks_of(plane.run("canary_watch")) == {"within_stop_loss": True}
    with database.tenant("acme") as conn:
        for number, outcome in enumerate(["completed", "completed", "failed", "failed"]):
            data = EffectRecorded.model_validate(
                {"intent_id": f"i-{number}", "action": "send_email", "automation": "outreach-sequence", "outcome": outcome}
            )
            eventlog.publish(conn, data, tenant_id="acme", source="/test", correlation_id="flow", now=datetime.now(UTC))
        assert canary.state(conn, "acme", "outreach-sequence", datetime.now(UTC)) is Canary.INSIDE
    ran = plane.run("canary_watch")
    assert checks_of(ran) == {"within_stop_loss": False}
    assert metadata_of(ran, CANARY)["outreach-sequence"] == "2 completed, 2 failed (50.0%)"
    with database.tenant("acme") as conn:
        assert canary.state(conn, "acme", "outreach-sequence", datetime.now(UTC)) is Canary.OUTSIDE
    with database.tenant("demo") as conn:
        rows = conn.execute("select actor_id, severity, detail ->> 'why' as why from audit_log where action = 'canary.held'").fetchall()
    assert [(row["actor_id"], row["severity"]) for row in rows] == [("canary-watch", "V1")]
    assert "acme" not in rows[0]["why"]
    with database.relay() as conn:
        canary.release(conn, automation="outreach-sequence", reason="mended", tenant_id="demo", actor=ana, now=datetime.now(UTC))
    assert checks_of(plane.run("canary_watch")) == {"within_stop_loss": True}
