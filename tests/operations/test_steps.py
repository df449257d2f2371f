"""Steps of commitments that are given up: a letter each, tried again from there; and a bad deploy under which they wait instead."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from orchestration.dead_letters import DeadLetters, asked_again, is_last, runs_graph
from orchestration.failures import translated
from orchestration.worker import THREADS, worker_of
from shared.events import ActorType, DeadLetterRetried
from spine import deadletters
from spine.audit import Actor
from spine.clock import BusinessClock
from spine.db import Database
from spine.deadletters import circuits
from spine.deadletters.circuits import CircuitRule
from spine.errors import Conflict, ProviderUnavailable
from spine.registry import Registry, Track
from spine.resetting import reset
from spine.routing import ResetWorkflow, RunDataJob, route
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from spine.temporal import connect
from tests.operations.commitments import StepInput, TwoSteps

pytestmark = pytest.mark.anyio
TENANT = "acme"
ANA = Actor(ActorType.HUMAN, "ana")
CLOCK = BusinessClock()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Steps:
    """`fault` is what the second step raises, until it is None."""

    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault
        self.first = 0
        self.tried = 0

    @activity.defn(name="first-step")
    @translated
    def first_step(self, given: StepInput) -> str:
        self.first += 1
        return "first"

    @activity.defn(name="second-step")
    @translated
    def second_step(self, given: StepInput) -> str:
        self.tried += 1
        if self.fault is not None:
            raise self.fault
        return "second"


class Graphs(Steps):
    """The same step as one that runs a graph."""

    @runs_graph("lead-qualification")
    @activity.defn(name="second-step")
    @translated
    def second_step(self, given: StepInput) -> str:
        return super().second_step(given)  # type: ignore[operator, no-any-return]


class World:
    def __init__(self, client: Client, database: Database, steps: Steps, queue: str) -> None:
        self.client, self.database, self.steps, self.queue = client, database, steps, queue

    async def start(self, key: str = "k", attempts: int = 2) -> WorkflowHandle[TwoSteps, str]:
        given = StepInput(tenant_id=TENANT, correlation_id="flow-1", attempts=attempts)
        return await self.client.start_workflow(TwoSteps.run, given, id=f"{TENANT}/two-steps/{key}-{self.queue}", task_queue=self.queue)

    def letters(self, state: deadletters.State = "open") -> list[deadletters.DeadLetter]:
        with self.database.tenant(TENANT) as conn:
            return list(deadletters.listing(conn, tenant_id=TENANT, state=state).items)

    def circuits(self) -> list[circuits.Circuit]:
        with self.database.tenant(TENANT) as conn:
            return circuits.listing(conn, tenant_id=TENANT)

    def retry(self, letter: UUID) -> None:
        with self.database.tenant(TENANT) as conn:
            deadletters.retry(conn, tenant_id=TENANT, dead_letter_id=letter, actor=ANA, reason="mended", now=CLOCK.now())

    async def relay(self) -> list[str]:
        """What the trust track's sensor does with the events of retries."""
        with self.database.tenant(TENANT) as conn:
            rows = conn.execute("select envelope from events where type = %s order by position", (DeadLetterRetried.TYPE,)).fetchall()
        done = []
        for row in rows:
            from shared.events import Envelope, data_of

            envelope = Envelope.model_validate(row["envelope"])
            [action] = route(envelope, data_of(envelope), Registry({}), Track.TRUST)
            assert isinstance(action, ResetWorkflow)
            done.append((await reset(self.client, action, event_id=envelope.id)).outcome)  # type: ignore[union-attr]
        return done


@asynccontextmanager
async def world(address: str, database: Database, steps: Steps, rule: CircuitRule | None = None) -> AsyncIterator[World]:
    setup_telemetry("spine-tests", Settings())
    client, queue = await connect(address), f"steps-{uuid4()}"
    letters = DeadLetters(database, CLOCK, circuit=rule or CircuitRule())
    with ThreadPoolExecutor(THREADS) as threads:
        worker: Worker = worker_of(
            client, [steps.first_step, steps.second_step], threads, workflows=[TwoSteps], task_queue=queue, letters=letters
        )
        async with worker:
            yield World(client, database, steps, queue)


async def failed(handle: WorkflowHandle[TwoSteps, str]) -> None:
    with pytest.raises(WorkflowFailureError):
        await handle.result()


async def test_a_step_that_exhausted_its_attempts_is_a_letter_and_its_retry_goes_on_from_there(temporal: str, database: Database) -> None:
    async with world(temporal, database, Steps(ProviderUnavailable("the CRM is away"))) as here:
        handle = await here.start()
        await failed(handle)
        [letter] = here.letters()
        assert (letter.plane, letter.consumer, letter.error_code, letter.attempts) == (
            "activity",
            "worker/second-step",
            "provider-unavailable",
            2,
        )
        assert (letter.correlation_id, letter.error_code, letter.error) == ("flow-1", "provider-unavailable", "the CRM is away")
        assert letter.body["workflow_id"] == handle.id
        here.steps.fault = None
        here.retry(letter.dead_letter_id)
        assert await here.relay() == ["started"]
        again = here.client.get_workflow_handle_for(TwoSteps.run, handle.id)
        assert await again.result() == "first then second"
        assert here.steps.first == 1, "what was done before was not done again"
        assert await here.relay() == ["started"], "the same event again: the server knows the request"
        assert here.steps.first == 1


async def test_a_step_that_dies_again_after_its_retry_is_the_same_letter_open_again(temporal: str, database: Database) -> None:
    async with world(temporal, database, Steps(ProviderUnavailable("away"))) as here:
        handle = await here.start()
        await failed(handle)
        [first] = here.letters()
        here.retry(first.dead_letter_id)
        await here.relay()
        await failed(here.client.get_workflow_handle_for(TwoSteps.run, handle.id))
        [again] = here.letters()
        assert (again.dead_letter_id, again.attempts) == (first.dead_letter_id, 4)
        assert again.body["run_id"] != first.body["run_id"]


async def test_a_graph_is_a_plane_of_its_own_and_a_bug_tells_no_values(temporal: str, database: Database) -> None:
    async with world(temporal, database, Graphs(KeyError("buyer@acme.example"))) as here:
        await failed(await here.start())
        [letter] = here.letters()
    assert (letter.plane, letter.error_code, letter.attempts, letter.body["graph"]) == ("graph", "internal", 1, "lead-qualification")
    assert "buyer" not in letter.error


async def test_a_commitment_that_undid_what_it_did_is_not_set_back(temporal: str, database: Database) -> None:
    async with world(temporal, database, Steps(ProviderUnavailable("away"))) as here:
        handle = await here.start()
        await failed(handle)
        from tests.governance.support import Desk

        desk = Desk(database, tenant=TENANT)
        desk.contact()
        intent_id = desk.runnable(workflow_id=handle.id).intent_id
        desk.sql("update intents set state = 'compensated' where intent_id = %s", intent_id)
        [letter] = here.letters()
        with pytest.raises(Conflict, match="has undone what it did"):
            here.retry(letter.dead_letter_id)
        assert [one.state for one in here.letters()] == ["open"]


async def test_under_an_open_circuit_commitments_wait_and_all_go_on_when_the_code_is_mended(temporal: str, database: Database) -> None:
    """Twelve commitments meet a bug. Three die before the circuit opens; the other nine wait, are probed, and are done after the fix."""
    rule = CircuitRule(letters=3, first_probe=timedelta(milliseconds=300), longest=timedelta(seconds=1), probing=timedelta(seconds=2))
    async with world(temporal, database, Steps(AttributeError("a bad deploy")), rule) as here:
        for number in range(3):
            await failed(await here.start(f"dead-{number}", attempts=0))
        waiting = [await here.start(f"held-{number}", attempts=0) for number in range(9)]
        async with asyncio.timeout(60):  # until a probe has met the bug too: how soon that is, a busy machine decides
            while not any(one.trips > 1 for one in here.circuits()):
                await asyncio.sleep(0.1)
        assert [(await one.describe()).status for one in waiting] == [WorkflowExecutionStatus.RUNNING] * 9
        assert len(here.letters()) == 3
        assert [(one.consumer, one.error_code, one.trips > 1) for one in here.circuits()] == [("worker/second-step", "internal", True)]
        here.steps.fault = None
        async with asyncio.timeout(30):
            assert [await one.result() for one in waiting] == ["first then second"] * 9
        assert here.circuits() == []
        for letter in here.letters():
            here.retry(letter.dead_letter_id)
        assert await here.relay() == ["started"] * 3
        for number in range(3):
            again = here.client.get_workflow_handle_for(TwoSteps.run, f"{TENANT}/two-steps/dead-{number}-{here.queue}")
            assert await again.result() == "first then second"


async def test_without_room_for_another_attempt_a_step_dies_though_the_circuit_is_open(temporal: str, database: Database) -> None:
    rule = CircuitRule(letters=1, first_probe=timedelta(milliseconds=200))
    async with world(temporal, database, Steps(ProviderUnavailable("away")), rule) as here:
        await failed(await here.start("one", attempts=1))
        await failed(await here.start("two", attempts=1))
        assert len(here.letters()) == 2


def info(**changes: object) -> activity.Info:
    from dataclasses import replace

    given = {"retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1)), "schedule_to_close_timeout": None, **changes}
    return replace(ActivityEnvironment.default_info(), **given)  # type: ignore[arg-type]


def test_which_failure_is_the_last_one() -> None:
    now, again, never = datetime.now(UTC), ApplicationError("x"), ApplicationError("x", non_retryable=True)
    assert is_last(info(), never, now)
    assert not is_last(info(attempt=999), again, now), "without a limit it goes on"
    limited = RetryPolicy(maximum_attempts=3)
    assert [is_last(info(retry_policy=limited, attempt=attempt), again, now) for attempt in (1, 2, 3)] == [False, False, True]
    three_days = {"schedule_to_close_timeout": timedelta(days=3), "scheduled_time": now - timedelta(days=3) + timedelta(minutes=2)}
    assert not is_last(info(**three_days), again, now)
    five = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=5))
    assert is_last(info(retry_policy=five, attempt=40, **three_days), again, now), "the next attempt would come after its time is up"
    assert is_last(info(retry_policy=RetryPolicy(non_retryable_error_types=["odd"])), ApplicationError("x", type="odd"), now)
    assert not is_last(info(retry_policy=None), again, now)


def test_an_activity_that_its_workflow_asks_again_is_no_letter() -> None:
    from temporalio.worker import ExecuteActivityInput

    from orchestration.dead_letters import step_of

    @asked_again
    def look(given: StepInput) -> None: ...

    def step(given: StepInput) -> None: ...

    argument, about = StepInput(tenant_id=TENANT, correlation_id="c"), info(workflow_id="acme/x/1")
    asked = {fn: step_of(ExecuteActivityInput(fn=fn, args=[argument], executor=None, headers={}), about) for fn in (look, step)}
    assert asked[look] is None
    assert asked[step] is not None
    elsewhere = info(workflow_id="rival/x/1")
    assert step_of(ExecuteActivityInput(fn=step, args=[argument], executor=None, headers={}), elsewhere) is None


def test_a_retried_data_job_is_launched_once_with_the_tags_of_the_run_that_failed(database: Database) -> None:
    from shared.events import Envelope, data_of

    with database.tenant(TENANT) as conn:
        letter = deadletters.add(
            conn, tenant_id=TENANT, plane="data_job", reference="run-1", consumer="dagster/nightly", correlation_id="flow-1",
            error_code="BadExport", error="a column is missing", attempts=1,
            body={"job": "nightly", "tags": {"dagster/partition": "2026-11"}}, now=CLOCK.now(),
        )  # fmt: skip
        deadletters.retry(conn, tenant_id=TENANT, dead_letter_id=letter, actor=ANA, reason="new export", now=CLOCK.now())
        row = conn.execute("select envelope from events where type = %s", (DeadLetterRetried.TYPE,)).fetchone()
    assert row is not None
    envelope = Envelope.model_validate(row["envelope"])
    [action] = route(envelope, data_of(envelope), Registry({}), Track.TRUST)
    assert isinstance(action, RunDataJob)
    assert (action.job, action.run_key) == ("nightly", f"{TENANT}/retry/{envelope.id}")
    assert (action.tags["dagster/partition"], action.tags["spine/tenant"]) == ("2026-11", TENANT)
    assert route(envelope, data_of(envelope), Registry({}), Track.REVENUE) == ()
