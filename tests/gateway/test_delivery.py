"""A decision reaches the waiting workflow at once when it can, and through the log when it cannot."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from spine import telemetry
from spine.gateway.app import create_app
from spine.settings import Settings
from spine.temporal import TemporalLoop, connect
from tests.gateway.conftest import Door

APPROVE = {"verdict": "approve", "reason": "ok"}


@workflow.defn(name="waits-for-approval")
class WaitsForApproval:
    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    @workflow.run
    async def run(self) -> list[dict[str, Any]]:
        await workflow.wait_condition(lambda: bool(self.heard))
        return self.heard

    @workflow.update(name="resolve-approval")
    def resolve_approval(self, decision: dict[str, Any]) -> None:
        self.heard.append(decision)

    @resolve_approval.validator
    def _judge(self, decision: dict[str, Any]) -> None:
        if decision["resolution"] == "rejected":
            raise ApplicationError("nobody is waiting for this", non_retryable=True)


@pytest.fixture
def temporal_door(door: Door, temporal: str) -> Iterator[Door]:
    telemetry.setup_telemetry("test", Settings())
    loop = TemporalLoop(lambda: connect(temporal))
    services = replace(door.services, temporal=loop)
    yield replace(door, services=services, client=TestClient(create_app(services)))
    loop.close()


@contextmanager
def _working(address: str) -> Iterator[None]:
    """A worker on a loop and thread of its own."""
    started: Future[asyncio.Event] = Future()

    async def work() -> None:
        client = await connect(address)
        stop = asyncio.Event()
        runner = UnsandboxedWorkflowRunner()
        async with Worker(client, task_queue="delivery-tests", workflows=[WaitsForApproval], workflow_runner=runner):
            started.set_result(stop)
            await stop.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(work(),))
    thread.start()
    stop = started.result(30)
    yield
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()


def _begin(door: Door, workflow_id: str) -> None:
    async def start(client: Any) -> None:
        await client.start_workflow("waits-for-approval", id=workflow_id, task_queue="delivery-tests")

    assert door.services.temporal is not None
    door.services.temporal.run(start, timeout=10)


def _decide(door: Door, approval_id: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = door.post(f"/v1/approvals/{approval_id}/decisions", body, **more)
    assert answer.status_code == 201, answer.json()
    result: dict[str, Any] = answer.json()
    return result


def test_a_waiting_workflow_hears_of_the_decision_at_once(temporal_door: Door, temporal: str) -> None:
    approval_id = temporal_door.message(key="hears")
    _begin(temporal_door, "acme/contract-signature/hears")
    with _working(temporal):
        said = _decide(temporal_door, approval_id, APPROVE, key="one")
        again = _decide(temporal_door, approval_id, APPROVE, key="one")

        async def result(client: Any) -> Any:
            return await client.get_workflow_handle("acme/contract-signature/hears").result()

        assert temporal_door.services.temporal is not None
        heard = temporal_door.services.temporal.run(result, timeout=10)
    assert (said["delivered"], again["delivered"]) == (True, True), "the same update again gets its first answer"
    assert heard == [{"approval_id": approval_id, "intent_id": said["intent_id"], "resolution": "approved", "successor_intent_id": None}]


def test_a_workflow_that_refuses_or_is_gone_is_reported_and_the_decision_stands(temporal_door: Door, temporal: str) -> None:
    refusing = temporal_door.message(key="refuses")
    _begin(temporal_door, "acme/contract-signature/refuses")
    with _working(temporal):
        said = _decide(temporal_door, refusing, {"verdict": "reject", "reason": "no"})
    assert (said["state"], said["delivered"]) == ("rejected", False)
    gone = _decide(temporal_door, temporal_door.message(key="gone"), APPROVE)
    assert (gone["state"], gone["delivered"]) == ("approved", False)
    assert temporal_door.count("events", "type = 'spine.approval.resolved.v1'") == 2, "the durable path has both"


def test_without_a_worker_the_answer_comes_in_time_and_says_so(temporal_door: Door) -> None:
    approval_id = temporal_door.message(key="lonely")
    _begin(temporal_door, "acme/contract-signature/lonely")
    began = time.monotonic()
    said = _decide(temporal_door, approval_id, APPROVE)
    assert (said["intent_state"], said["delivered"]) == ("runnable", False)
    assert time.monotonic() - began < 5


def test_without_temporal_the_gateway_starts_and_decides(door: Door) -> None:
    loop = TemporalLoop(lambda: connect("127.0.0.1:1"))
    services = replace(door.services, temporal=loop)
    away = replace(door, services=services, client=TestClient(create_app(services)))
    try:
        assert away.client.get("/health/ready").json()["temporal"] == "does not answer"
        assert _decide(away, away.message(), APPROVE)["delivered"] is False
    finally:
        loop.close()


def test_ready_means_that_temporal_answers_too(temporal_door: Door) -> None:
    answer = temporal_door.client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"], answer.json()["temporal"]) == (200, "ready", "ok")
