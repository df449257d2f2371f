"""The play itself: seed, launch the Dagster job, let people and time do their part, count, and judge."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from spine.clock import BusinessClock
from spine.db import Database
from spine.demo import proof
from spine.demo.count import Books, FarEnd, Invariant, Outcome, ask_providers, read_books
from spine.demo.dagster_api import DagsterApi
from spine.demo.people import People
from spine.demo.proof import Emergency, Stop
from spine.demo.seed import seed_contacts, seed_people
from spine.errors import Misconfigured
from spine.journey import journey, with_links
from spine.settings import Settings

JOB = "crm_to_commitments"
REPLIES_EVERY = 3  # one lead in three answers the first message; the others hear the follow-ups too
RUN_TIMEOUT_SECONDS = 300.0
QUIET_SECONDS = 240.0  # nothing new for so long: the play is stuck, and says so

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    settings: Settings
    export: Path
    providers_url: str
    tell: Say
    _began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        self.tell(f"{time.monotonic() - self._began:6.1f} s  {line}")

    def run(self) -> Outcome:
        began = self._began
        clock = self.settings.business_clock()
        with Database.from_settings(self.settings) as database, httpx.Client() as client:
            tenant = self.settings.tenant
            contacts, without = seed_contacts(database, tenant, self.export, clock)
            self.say(f"{contacts} contacts, {without} of them without consent; one of a few people for each role")
            people = People(gateway=self.settings.require("gateway_url"), keys=seed_people(database, tenant, clock), client=client)
            run_id, status, data = self._materialize(client)
            self._give_providers_a_bad_day(database, client)
            unfinished, stop = self._until_every_commitment_ended(database, people) if status == "SUCCESS" else (-1, None)
            with database.tenant(tenant) as connection:
                books = read_books(connection)
                told = journey(connection, tenant, _most_telling(connection), clock=clock)
            far = ask_providers(self.providers_url)
            proved = proof.invariants(database, tenant, clock, stop=stop, logs=self.settings.home / "logs")
        table = _table(data, books, far, people, run_id=run_id, seconds=time.monotonic() - began, clock=clock)
        invariants = _judge(data, books, far, people, traces=told.trace_ids, run_status=status, unfinished=unfinished)
        return Outcome(table=table, invariants=(*invariants, *proved), journey=with_links(told, self.settings))

    def _materialize(self, client: httpx.Client) -> tuple[str, str, Mapping[str, Any]]:
        dagster = DagsterApi(url=self.settings.require("dagster_url"), client=client)
        run_id = dagster.launch(JOB, tags={"spine/demo": "true"})
        self.say(f"Dagster run {run_id} of job {JOB}: {self.settings.dagster_url}/runs/{run_id}")
        told: list[tuple[str, int]] = []

        def progress(status: str, steps: int) -> None:
            if not told or told[-1] != (status, steps):
                told.append((status, steps))
                self.say(f"run {status.lower()}, {steps} steps done")

        status = dagster.wait(run_id, progress=progress, timeout_seconds=RUN_TIMEOUT_SECONDS)
        return run_id, status, dagster.metadata(run_id)

    def _give_providers_a_bad_day(self, database: Database, client: httpx.Client) -> None:
        """Two providers will do what they are asked and hang up without a word; one signer will decline.

        Nothing has been sent yet: every send waits for a person of this play.
        """
        for provider in ("email", "esign"):
            trouble = {"provider": provider, "mode": "lose_answer", "times": 1}
            client.post(f"{self.providers_url}/behaviour", json=trouble).raise_for_status()
        with database.tenant(self.settings.tenant) as connection:
            deal = connection.execute("select max(subject) as deal_id from events where type = 'spine.deal.won.v1'").fetchone()
        if deal and deal["deal_id"]:
            client.post(f"{self.providers_url}/signing", json={"decline_marker": deal["deal_id"]}).raise_for_status()
            self.say(f"the signer of deal {deal['deal_id']} will decline; e-mail and e-signature will each lose one answer")

    def _until_every_commitment_ended(self, database: Database, people: People) -> tuple[int, Stop | None]:
        """People decide, some leads answer, somebody stops the outreach for a while, until each lead and deal has an outcome.

        Returns how many have none at the end, and the stop, if it came to one.
        """
        answered: set[str] = set()
        emergency = Emergency(database=database, tenant_id=self.settings.tenant, clock=self.settings.business_clock())
        last_change, last_state = time.monotonic(), ""
        while True:
            decided = people.work_through_inbox()
            with database.tenant(self.settings.tenant) as connection:
                state = _state_of_play(connection)
                first_messages = _first_messages(connection)
            for number, (lead_id, contact_id) in enumerate(first_messages):
                if number % REPLIES_EVERY == 0 and lead_id not in answered:
                    answered.add(lead_id)
                    people.answer(lead_id, contact_id)
            line = (
                f"  {state['ended']} of {state['owed']} commitments ended, {state['sent']} messages out, {state['pending']} approvals wait"
            )
            if told := emergency.go_on(messages_out=state["sent"]):
                self.say(told)
            if decided or line != last_state:
                last_change = time.monotonic()
            if line != last_state:
                self.say(line)
                last_state = line
            if state["ended"] >= state["owed"] and state["pending"] == 0:
                return 0, emergency.stop
            if time.monotonic() - last_change > QUIET_SECONDS:
                return int(state["owed"] - state["ended"]), emergency.stop
            time.sleep(0.25)


def sample_export(into: Path) -> Path:
    """The shipped sample, generated. It lives in the data plane, which the platform may not import; hence a process."""
    done = subprocess.run([sys.executable, "-m", "data_jobs.sample", str(into)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Misconfigured(f"the sample export could not be generated: {done.stderr.strip()}")
    return into


_STATE = """
select
  (select count(*) from events where type in ('spine.lead.qualified.v1', 'spine.deal.won.v1')) as owed,
  (select count(distinct subject) from events where type = 'spine.workflow.ended.v1') as ended,
  (select count(*) from events where type = 'spine.outreach.message_sent.v1') as sent,
  (select count(*) from approvals where state = 'pending') as pending
"""


def _state_of_play(connection: Any) -> Mapping[str, int]:
    row = connection.execute(_STATE).fetchone()
    assert row is not None, "a select of aggregates always returns a row"
    return dict(row)


def _first_messages(connection: Any) -> list[tuple[str, str]]:
    rows = connection.execute(
        "select m.subject as lead_id, q.envelope -> 'data' ->> 'contact_id' as contact_id from events m "
        "join events q on q.tenant_id = m.tenant_id and q.subject = m.subject and q.type = 'spine.lead.qualified.v1' "
        "where m.type = 'spine.outreach.message_sent.v1' and m.envelope -> 'data' ->> 'step' = '0' order by m.position"
    )
    return [(row["lead_id"], row["contact_id"]) for row in rows]


def _most_telling(connection: Any) -> str:
    """The correlation id of the fact with the most to tell: an edit, if there was one. Empty when nothing was proposed at all."""
    row = connection.execute(
        "select correlation_id from intents where correlation_id is not null order by (state = 'superseded') desc, created_at limit 1"
    ).fetchone()
    return str(row["correlation_id"]) if row else ""


def _number(data: Mapping[str, Any], label: str) -> int:
    """The value of a metadata label, wherever it was reported; 0 when no asset reported it."""
    return max((int(value) for key, value in data.items() if key.endswith(f":{label}") and isinstance(value, int | float)), default=0)


def _table(
    data: Mapping[str, Any], books: Books, far: FarEnd, people: People, *, run_id: str, seconds: float, clock: BusinessClock
) -> dict[str, Any]:
    return {
        "rows read": _number(data, "rows_read"),
        "rows kept": _number(data, "rows_kept"),
        "rows repaired": _number(data, "rows_repaired"),
        "rows quarantined": _number(data, "rows_quarantined"),
        "leads published": books.events.get("spine.lead.qualified.v1", 0),
        "deals published": books.events.get("spine.deal.won.v1", 0),
        "events": sum(books.events.values()),
        "workflows started": books.started,
        "approvals requested": books.events.get("spine.approval.requested.v1", 0),
        "approved": people.verdicts["approve"],
        "edited": people.verdicts["edit"],
        "edits judged again": books.judged_again,
        "rejected": people.verdicts["reject"],
        "denied by the gate": books.intent_states.get("denied", 0),
        "lost answers found out by asking": books.reconciled,
        "effects made": sum(books.effects.values()),
        "effects seen by the providers": sum(far.effects().values()),
        "duplicates": far.duplicates(),
        "runnable intents left by rejects": books.runnable_behind_a_reject,
        "dead letters": books.dead_letters,
        "audit rows": books.audit_rows,
        "business time": f"{clock.now():%Y-%m-%d %H:%M} UTC, {clock.rate:g} times as fast as real time",
        "seconds": round(seconds, 1),
        "Dagster run": run_id,
    }


def _judge(
    data: Mapping[str, Any],
    books: Books,
    far: FarEnd,
    people: People,
    *,
    traces: tuple[str, ...],
    run_status: str,
    unfinished: int,
) -> tuple[Invariant, ...]:
    read = _number(data, "rows_read")
    accounted = sum(_number(data, label) for label in ("rows_kept", "rows_repaired", "rows_quarantined"))
    owed = books.events.get("spine.lead.qualified.v1", 0) + books.events.get("spine.deal.won.v1", 0)
    open_states = ("proposed", "awaiting_approval", "runnable", "executing", "unknown", "compensating")
    still_open = sum(books.intent_states.get(state, 0) for state in open_states)
    return (
        Invariant("the Dagster run succeeded", run_status == "SUCCESS", run_status),
        Invariant("every row read is kept, repaired or quarantined", read > 0 and read == accounted, f"{accounted} of {read}"),
        Invariant("each published fact started one workflow", owed > 0 and books.started == owed, f"{books.started} of {owed}"),
        Invariant("every commitment reached an outcome", unfinished == 0, f"{unfinished} without"),
        Invariant("effects made equal effects seen by the providers", books.effects == far.effects(), f"{books.effects} / {far.effects()}"),
        Invariant("no provider saw an effect twice", far.duplicates() == 0, str(far.duplicates())),
        Invariant("a lost answer is found out by asking, not by sending again", books.reconciled > 0, str(books.reconciled)),
        Invariant("no effect without its permission", books.effects_without_permission == 0, str(books.effects_without_permission)),
        Invariant("a reject leaves nothing runnable", people.verdicts["reject"] > 0 and books.runnable_behind_a_reject == 0),
        Invariant("an edit is judged again", people.verdicts["edit"] > 0 and books.judged_again == people.verdicts["edit"]),
        Invariant("no decision of the people was refused", not people.refused, "; ".join(people.refused)),
        Invariant("no intent is left open", still_open == 0, str(still_open)),
        Invariant("no dead letter is open", books.dead_letters == 0, str(books.dead_letters)),
        Invariant("the audit log was written", books.audit_rows > 0, str(books.audit_rows)),
        Invariant("one trace from the first event to the last effect", len(traces) == 1, ", ".join(traces)),
    )
