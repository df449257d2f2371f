"""The triggers location: ticks on real engines, as the daemon evaluates them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from data_jobs import triggers
from data_jobs.defs.crm import keys
from shared.events import LeadQualified, OutreachCompleted, SignatureVoided
from spine.db import Database
from spine.errors import ProviderUnavailable
from spine.eventlog.outcomes import Delivered, Failed
from spine.ids import new_id
from spine.registry import Track
from spine.routing import RunDataJob
from spine.settings import Settings
from tests.eventlog.events import NOW, envelope, write, write_unchecked

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def installation(database: Database, temporal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a code server, and short turns."""
    settings = {
        "SPINE_HOME": str(tmp_path),
        "SPINE_DATABASE_URL": database.app_url,
        "SPINE_DATABASE_RELAY_URL": str(database.relay_url),
        "TEMPORAL_ADDRESS": temporal,
        "SPINE_TEMPORAL_UI_URL": "http://127.0.0.1:8233",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(triggers, "WORK", timedelta(milliseconds=700))
    monkeypatch.setattr(triggers, "STANDBY", timedelta(milliseconds=200))
    yield
    if made := triggers._platforms.pop(Settings.load(), None):
        made.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def qualified(lead_id: str) -> LeadQualified:
    return LeadQualified(
        lead_id=lead_id, account="Acme", contact_id="c-1", product="GTX Pro", sales_agent="Sara", score=0.9, band="A", dataset_version="v1"
    )


def tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return sensor.evaluate_tick(context)


def test_a_tick_starts_the_workflow_of_a_committed_event_and_says_so(
    installation: None, database: Database, instance: dg.DagsterInstance
) -> None:
    write(database, envelope(qualified(str(new_id()))))
    said = tick(triggers.member(Track.REVENUE, "a"), instance).skip_message
    assert "1 started" in said
    assert "lag 0" in said
    assert "nothing to do" in tick(triggers.member(Track.REVENUE, "b"), instance).skip_message


def test_a_tick_names_the_dead_letter_it_made(installation: None, database: Database, owner_url: str, instance: dg.DagsterInstance) -> None:
    sent = envelope(qualified("l-1"))
    write_unchecked(owner_url, sent.model_copy(update={"data": {**sent.data, "score": "high"}}))
    said = tick(triggers.member(Track.REVENUE, "a"), instance).skip_message
    assert "1 dead" in said
    assert "'score'" in said


def test_a_tick_is_red_while_temporal_is_away_and_the_event_waits(
    installation: None, database: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    write(database, envelope(qualified("l-1")))
    sensor = triggers.member(Track.REVENUE, "a")
    with dg.build_sensor_context(instance=instance) as context, pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:1"):
        sensor._raw_fn(context)
    with database.relay() as conn:
        assert conn.execute("select state, attempts from deliveries").fetchall() == [{"state": "waiting", "attempts": 0}]


def test_outcomes_come_back_as_observations_and_the_cursor_moves_past_them(
    installation: None, database: Database, instance: dg.DagsterInstance
) -> None:
    write(
        database,
        envelope(OutreachCompleted(lead_id="l-1", outcome="replied", messages_sent=1), correlation_id="flow-7", traceparent=TRACE),
        envelope(qualified("l-2")),
        envelope(SignatureVoided(deal_id="d-1", envelope_id="e-1", reason="declined"), tenant_id="other"),
    )
    result = tick(triggers.observe_commitments, instance)
    first, second = result.asset_events
    assert (first.asset_key, second.asset_key) == (keys.OUTREACH, keys.SIGNATURE)
    assert first.metadata["outcome"].value == "replied"
    assert first.metadata["trace_id"].value == "0af7651916cd43dd8448eb211c80319c"
    assert first.metadata["temporal"].value.startswith("http://127.0.0.1:8233/namespaces/default/workflows?query=CorrelationId")
    assert second.metadata["tenant"].value == "other"

    again = tick(triggers.observe_commitments, instance, result.cursor)
    assert (again.asset_events, again.skip_message) == ([], "no commitment has ended since")
    write(database, envelope(OutreachCompleted(lead_id="l-3", outcome="replied", messages_sent=2)))
    [third] = tick(triggers.observe_commitments, instance, result.cursor).asset_events
    assert third.metadata["so_far"].value == 2


def test_a_tick_that_dies_before_its_cursor_is_saved_observes_again(
    installation: None, database: Database, instance: dg.DagsterInstance
) -> None:
    write(database, envelope(OutreachCompleted(lead_id="l-1", outcome="replied", messages_sent=1)))
    first, second = (tick(triggers.observe_commitments, instance) for _ in range(2))
    assert [e.metadata["event_id"] for e in first.asset_events] == [e.metadata["event_id"] for e in second.asset_events]


def test_pending_approvals_are_observed_when_their_number_changes_and_judged(
    installation: None, database: Database, owner_url: str, instance: dg.DagsterInstance
) -> None:
    first = tick(triggers.observe_approvals, instance)
    observed, evaluation = first.asset_events
    assert observed.metadata["pending"].value == 0
    assert evaluation.passed
    assert tick(triggers.observe_approvals, instance, first.cursor).asset_events == []
    _pending_approval(database, breach_at=datetime.now(UTC) - timedelta(hours=1))
    observed, evaluation = tick(triggers.observe_approvals, instance, first.cursor).asset_events
    assert observed.metadata["past_breach"].value == 1
    assert not evaluation.passed


def test_a_data_job_is_launched_once_for_its_run_key(instance: dg.DagsterInstance) -> None:
    action = RunDataJob(automation="scoring", job="score_leads", run_key="demo/scoring/v1", tags={})
    assert isinstance(triggers.run_once(instance, None, action), Failed)
    assert isinstance(triggers.run_once(instance, "http://127.0.0.1:1", action), Failed)

    @dg.job(name="score_leads")
    def job() -> None: ...

    run = instance.create_run_for_job(job, tags={triggers.RUN_KEY_TAG: action.run_key})
    assert triggers.run_once(instance, None, action) == Delivered("already known", run.run_id)


def test_every_track_in_use_has_two_members_that_are_on_from_the_start() -> None:
    loaded = triggers.definitions([Track.REVENUE, Track.TRUST])
    sensors = {sensor.name: sensor for sensor in loaded.sensors or []}
    own = {"observe_commitments", "observe_approvals", "webhooks_a", "webhooks_b"}
    assert set(sensors) == {"revenue_a", "revenue_b", "trust_a", "trust_b"} | own
    assert {sensor.default_status for sensor in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}
    dg.Definitions.validate_loadable(loaded)


def test_the_location_loads_in_a_fresh_interpreter_and_opens_nothing() -> None:
    program = (
        "import json, sys, threading, data_jobs.triggers as t, dagster as dg\n"
        "repository = t.defs().get_repository_def()\n"
        "print(json.dumps([sorted(s.name for s in repository.sensor_defs), len(t._platforms), threading.active_count(),"
        " 'orchestration.worker' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    sensors, platforms, threads, has_worker = json.loads(done.stdout.splitlines()[-1])
    assert {"revenue_a", "revenue_b", "trust_a", "trust_b"} <= set(sensors)
    assert (platforms, threads, has_worker) == (0, 1, False)


def _pending_approval(database: Database, *, breach_at: datetime) -> None:
    intent_id, approval_id = new_id(), new_id()
    with database.tenant("demo") as conn:
        conn.execute(
            "insert into intents (tenant_id, intent_id, automation, key, action, payload, digest, action_class, approval_class, "
            "reversibility_class, sensitivity_class, side_effect_class, state, policy_version, actor_type, requested_by, "
            "created_at, updated_at) "
            "values ('demo', %s, 'x', 'k', 'send_email', '{}', 'd', 'B', 'A1', 'R1', 'S1', 'external_message', 'awaiting_approval', 'v', "
            "'automated_workflow', 'x', %s, %s)",
            (intent_id, NOW, NOW),
        )
        conn.execute(
            "insert into approvals (tenant_id, approval_id, intent_id, action, digest, policy_version, approvers_needed, roles, why, "
            "state, "
            "requested_by, requested_at, warn_at, breach_at, escalate_at, expires_at) "
            "values ('demo', %s, %s, 'send_email', 'd', 'v', 1, '{approver}', '[]', 'pending', 'x', %s, %s, %s, %s, %s)",
            (approval_id, intent_id, breach_at, breach_at, breach_at, breach_at + timedelta(days=1), breach_at + timedelta(days=2)),
        )
