"""Code location `triggers`: facts become work, and outcomes come back. A location of its own, so that a broken asset stops none of it.

Per track two sensors, `<track>_a` and `<track>_b`, are the members of one consumer group. A tick *waits on the log*: whoever
holds the group's lease dispatches for about ten seconds and hands over, so that the gap between two ticks of one sensor (five
seconds, trap 6) is covered by the other. Offsets and deliveries live in PostgreSQL: a tick that dies, or a sensor that is
switched off in the UI, loses nothing.
"""

import atexit
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import quote, urlsplit

import dagster as dg
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from data_jobs.defs.crm import keys
from shared.events import EventData, OutreachCompleted, SignatureCompleted, SignatureVoided
from spine.approvals.standing import Standing, standing
from spine.db import Database
from spine.dispatch import TemporalDispatcher
from spine.errors import ProviderUnavailable
from spine.eventlog import Place, Seen, scan
from spine.eventlog.groups import ConsumerGroup
from spine.eventlog.outcomes import Delivered, Failed, Outcome, Refused
from spine.registry import Registry, Track
from spine.routing import RunDataJob, event_types, tracks_in_use
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from spine.temporal import TemporalLoop
from spine.webhooks_out.deliver import take_turn

STANDBY, WORK = timedelta(seconds=20), timedelta(seconds=10)  # together half of the 60 s that a tick may take (trap 7)
_PATIENCE = timedelta(seconds=3)  # for a call to Temporal, the SDK's own retries included: beyond it the event waits, not the tick
RUN_KEY_TAG = "spine/run_key"
APPROVALS = dg.AssetKey("approvals")
OUTCOMES: dict[type[EventData], dg.AssetKey] = {
    OutreachCompleted: keys.OUTREACH,
    SignatureCompleted: keys.SIGNATURE,
    SignatureVoided: keys.SIGNATURE,
}
_OBSERVED = {event.TYPE: (event, key) for event, key in OUTCOMES.items()}


@dataclass(frozen=True, slots=True)
class Platform:
    """What a code server keeps between ticks: connections, and the one loop that owns the Temporal client."""

    settings: Settings
    database: Database
    temporal: TemporalLoop
    registry: Registry

    @classmethod
    def build(cls, settings: Settings) -> "Platform":
        setup_telemetry("spine-triggers", settings)
        temporal = TemporalLoop.from_settings(settings, patience=_PATIENCE)
        return cls(settings, Database.from_settings(settings, max_size=8), temporal, Registry.load())

    def group(self, track: Track, instance: dg.DagsterInstance) -> ConsumerGroup:
        clock = self.settings.business_clock()
        run_data_job = partial(run_once, instance, self.settings.dagster_url)
        return ConsumerGroup(
            database=self.database,
            name=track.value,
            types=event_types(self.registry, track),
            dispatch=TemporalDispatcher(self.temporal, self.registry, track, clock=clock.describe(), run_data_job=run_data_job),
            clock=clock,
        )

    def close(self) -> None:
        self.temporal.close()
        self.database.close()


_platforms: dict[Settings, Platform] = {}
_building = Lock()


def platform() -> Platform:
    """This process's platform, made at the first tick and never at import; another only when the settings have changed."""
    settings = Settings.load()
    with _building:
        if settings not in _platforms:
            _platforms[settings] = Platform.build(settings)
            atexit.register(_platforms[settings].close)
        return _platforms[settings]


def member(track: Track, letter: str) -> dg.SensorDefinition:
    """One of the two members of a track's consumer group."""

    @dg.sensor(
        name=f"{track.value}_{letter}",
        description=f"Starts and signals the commitments of track {track.value} as their events are committed. "
        "Skipped is its usual answer: the work is in Temporal, and the text says what was done.",
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def tick(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        report = platform().group(track, context.instance).take_turn(standby=STANDBY, work=WORK)
        for line in report.dead:
            context.log.warning("dead letter: %s", line)
        if report.unavailable:  # a red tick: somebody should look, though nothing is lost
            raise ProviderUnavailable(f"{report}; {report.unavailable}; the events wait and are tried again")
        return dg.SkipReason(str(report))

    return tick


def teller(letter: str) -> dg.SensorDefinition:
    """One of the two members that tell webhook endpoints what happened; like a track's, so that no gap is longer than a tick's."""

    @dg.sensor(
        name=f"webhooks_{letter}",
        description="Posts events to the tenants' webhook endpoints as they are committed, and again until they are taken. "
        "Skipped is its usual answer: what became of each delivery is in `spine webhooks deliveries`.",
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def tick() -> dg.SkipReason:
        here = platform()
        report = take_turn(
            here.database,
            here.settings.business_clock(),
            may_be_private=here.settings.webhooks_may_be_private,
            standby=STANDBY,
            work=WORK,
        )
        return dg.SkipReason(str(report))

    return tick


def run_once(instance: dg.DagsterInstance, webserver_url: str | None, action: RunDataJob) -> Outcome:
    """Launch a data job for its run key, unless a run has that key.

    Through the webserver rather than as a RunRequest: a sensor can only ask for jobs of its own code location, and data jobs
    live in the other one. A crash after the launch finds the run by its tag, so it is not launched twice.
    """
    known = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: action.run_key}), limit=1)
    if known:
        return Delivered("already known", known[0].run_id)
    if webserver_url is None:
        return Failed("misconfigured", f"data job {action.job!r} needs SPINE_DAGSTER_URL to be launched")
    address = urlsplit(webserver_url)
    try:
        client = DagsterGraphQLClient(address.hostname or "", port_number=address.port, use_https=address.scheme == "https", timeout=10)
        run_id = client.submit_job_execution(action.job, tags={**action.tags, RUN_KEY_TAG: action.run_key})
    except DagsterGraphQLClientError as error:
        code = str(error.args[0]) if error.args else "unknown"
        if code in ("JobNotFoundError", "InvalidStepError", "InvalidOutputError"):
            return Refused("unknown-data-job", f"automation {action.automation!r} runs data job {action.job!r}: {code}")
        return Failed("launch-failed", f"data job {action.job!r}: {code}")
    return Delivered("requested", run_id)


@dg.sensor(
    description="Reports how commitments ended, as observations of the assets commitments/outreach and commitments/signature.",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def observe_commitments(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """At least once: the offset is Dagster's own cursor, which the daemon saves after it has stored the observations of the tick.

    A tick that dies in between reports the same outcomes again; the event id in the metadata tells. None is lost.
    """
    here = platform()
    cursor: dict[str, Any] = json.loads(context.cursor) if context.cursor else {"xid": 0, "position": 0, "counts": {}}
    before, counts = Place(cursor["xid"], cursor["position"]), Counter[str](cursor["counts"])
    with here.database.relay() as conn:
        seen, place = scan(conn, types=list(_OBSERVED), after=before)
    observations = [observation(here.settings, event, counts) for event in seen]
    text = json.dumps({"xid": place.xid, "position": place.position, "counts": counts})
    if not observations:
        if place != before:
            context.update_cursor(text)
        return dg.SkipReason("no commitment has ended since")
    return dg.SensorResult(asset_events=observations, cursor=text)


def observation(settings: Settings, event: Seen, counts: Counter[str]) -> dg.AssetObservation:
    """One outcome as Dagster shows it, with the ways to the other planes; `counts` goes on counting outcomes by kind."""
    kind, key = _OBSERVED[event.type]
    envelope = event.envelope
    outcome = str(envelope["data"].get("outcome", kind.short_name()))
    counts[f"{key.to_user_string()}: {outcome}"] += 1
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(outcome),
        "subject": dg.MetadataValue.text(str(envelope["subject"])),
        "tenant": dg.MetadataValue.text(event.tenant_id),
        "event_id": dg.MetadataValue.text(str(envelope["id"])),
        "correlation_id": dg.MetadataValue.text(str(envelope["correlationid"])),
        "happened_at": dg.MetadataValue.text(str(envelope["time"])),
        "so_far": dg.MetadataValue.int(counts[f"{key.to_user_string()}: {outcome}"]),
    }
    if traceparent := envelope.get("traceparent"):
        metadata["trace_id"] = dg.MetadataValue.text(str(traceparent).split("-")[1])
    if settings.temporal_ui_url:
        query = quote(f'CorrelationId="{envelope["correlationid"]}"')
        metadata["temporal"] = dg.MetadataValue.url(
            f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{settings.temporal_namespace}/workflows?query={query}"
        )
    return dg.AssetObservation(asset_key=key, description=f"{outcome}: {envelope['subject']}", metadata=metadata)


approvals = dg.AssetSpec(
    APPROVALS,
    description="What waits for a person, counted for the installation's tenant. Decide by `spine approvals`, or at the gateway.",
    group_name="commitments",
    kinds={"temporal"},
)


@dg.asset_check(asset=APPROVALS, description="Nobody is kept waiting beyond the breach of the approval's SLA.")
def none_past_breach() -> dg.AssetCheckResult:
    return _judged(_standing())


@dg.sensor(
    description="Reports how many approvals wait, and whether one is past its breach, whenever that has changed.",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def observe_approvals(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    now = _standing()
    text = json.dumps([now.pending, now.past_warning, now.past_breach])
    if text == context.cursor:
        return dg.SkipReason(f"{now.pending} pending, as before")
    observed = dg.AssetObservation(
        asset_key=APPROVALS, description=f"{now.pending} pending, {now.past_breach} past breach", metadata=_figures(now)
    )
    judged = _judged(now)
    evaluation = dg.AssetCheckEvaluation(
        asset_key=APPROVALS, check_name="none_past_breach", passed=judged.passed, severity=judged.severity, metadata=judged.metadata
    )
    return dg.SensorResult(asset_events=[observed, evaluation], cursor=text)


def _standing() -> Standing:
    here = platform()
    tenant_id = here.settings.tenant
    with here.database.tenant(tenant_id) as conn:
        return standing(conn, tenant_id=tenant_id, now=here.settings.business_clock().now())


def _judged(now: Standing) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=now.past_breach == 0, severity=dg.AssetCheckSeverity.WARN, metadata=_figures(now))


def _figures(now: Standing) -> dict[str, dg.MetadataValue]:
    counts = {"pending": now.pending, "past_warning": now.past_warning, "past_breach": now.past_breach}
    oldest = {"oldest_requested_at": dg.MetadataValue.text(now.oldest_requested_at.isoformat())} if now.oldest_requested_at else {}
    return {**{name: dg.MetadataValue.int(count) for name, count in counts.items()}, **oldest}


def definitions(tracks: Sequence[Track]) -> dg.Definitions:
    """The location's composition root: two members a track."""
    members = [*(member(track, letter) for track in tracks for letter in "ab"), *(teller(letter) for letter in "ab")]
    return dg.Definitions(assets=[approvals], asset_checks=[none_past_breach], sensors=[*members, observe_commitments, observe_approvals])


@dg.definitions
def defs() -> dg.Definitions:
    """Evaluated when the location loads: which tracks there are is what the installed automations say."""
    return definitions(tracks_in_use(Registry.load()))
