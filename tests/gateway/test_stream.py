"""The live stream: what happens in one tenant, as it happens, without loss between two connections, holding nothing while it waits."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from starlette.requests import ClientDisconnect

from spine.errors import ProviderUnavailable, RateLimited
from spine.gateway.app import create_app
from spine.gateway.auth import Visit
from spine.gateway.routes import stream
from spine.gateway.wakes import STREAMS_A_KEY, Wakes
from spine.identity import revoke_key
from spine.stack.ports import free_port
from tests.gateway.conftest import Door, services_over

Refused = Callable[..., dict[str, Any]]


class Live:
    """A gateway on a port of its own: a stream has no end, so a test client that waits for one cannot read it."""

    def __init__(self, door: Door) -> None:
        self.door, self.port = door, free_port()
        self.app = create_app(services_over(door.database))
        self.server = uvicorn.Server(uvicorn.Config(self.app, port=self.port, log_config=None, lifespan="off", timeout_graceful_shutdown=1))

    @property
    def wakes(self) -> Wakes:
        wakes: Wakes = self.app.state.wakes
        return wakes

    @contextmanager
    def stream(self, person: str = "vera", *, tenant: str = "acme", **headers: str) -> Iterator[Iterator[dict[str, str]]]:
        bearer = {"Authorization": f"Bearer {self.door.key(person, tenant=tenant)}", **headers}
        with (
            httpx.Client(timeout=15) as client,
            client.stream("GET", f"http://127.0.0.1:{self.port}/v1/stream", headers=bearer) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                raise AssertionError(answer.json())
            lines = answer.iter_lines()
            next(lines)  # the first comment: from here on nothing is missed
            yield _events(lines)


def _events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(":")
            event[name] = value.strip()
        elif not line and "id" in event:
            yield event
            event = {}


@pytest.fixture
def live(door: Door) -> Iterator[Live]:
    live = Live(door)
    thread = threading.Thread(target=live.server.run, daemon=True)
    thread.start()
    until(lambda: live.server.started)
    yield live
    live.server.should_exit = True
    thread.join(10)


def until(reached: Callable[[], bool], patience: float = 15) -> None:
    deadline = time.monotonic() + patience
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def reply(door: Door, lead: str, *, tenant: str = "acme") -> None:
    data = {"lead_id": lead, "contact_id": "contact/globex", "channel": "email", "message_ref": "m"}
    assert door.post("/v1/events", {"type": "outreach.replied", "data": data, "correlation_id": f"flow-{lead}"}, tenant=tenant).is_success


def test_an_event_arrives_as_a_summary_without_its_data_and_only_in_its_own_tenant(live: Live) -> None:
    with live.stream() as events:
        reply(live.door, "THEIRS", tenant="rival")
        reply(live.door, "L-1")
        event = next(events)
    said = json.loads(event["data"])
    assert event["event"] == said["type"] == "spine.outreach.replied.v1"
    assert (said["subject"], said["correlation_id"], set(said)) == ("L-1", "flow-L-1", {"type", "subject", "correlation_id", "time"})


def test_what_happened_between_two_connections_is_told_after_the_last_event_that_was_seen(live: Live) -> None:
    with live.stream() as events:
        reply(live.door, "L-1")
        seen = next(events)["id"]
    for number in range(2, 5):
        reply(live.door, f"L-{number}")
    with live.stream(**{"Last-Event-ID": seen}) as events:
        assert [json.loads(next(events)["data"])["subject"] for _ in range(3)] == ["L-2", "L-3", "L-4"]


def test_what_an_older_transaction_holds_back_is_told_when_it_ends_and_in_the_order_of_the_log(live: Live) -> None:
    with live.stream() as events, live.door.database.tenant("rival") as older:
        older.execute("select pg_current_xact_id()")  # it could still write before what follows
        reply(live.door, "L-1")
        time.sleep(0.5)
        older.rollback()
        assert json.loads(next(events)["data"])["subject"] == "L-1"


def test_waiting_holds_no_connection_of_the_pool_and_leaving_frees_everything(live: Live) -> None:
    with live.stream(), live.stream("omar"):
        until(lambda: live.wakes.streams == 2)
        with live.door.database.tenant("acme") as conn:
            row = conn.execute("select count(*) as n from pg_stat_activity where application_name = 'spine gateway streams'").fetchone()
        assert row is not None
        assert row["n"] == 1, "one listener for all streams"
        pool = live.app.state.services.database._app
        until(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])
    until(lambda: live.wakes.streams == 0)
    until(lambda: not live.wakes.listening)


def test_an_answer_that_ends_before_its_first_part_ends_its_watching() -> None:
    """Whoever hangs up that early would keep one of his five places until the process ends."""
    left: list[bool] = []

    @contextmanager
    def watching() -> Iterator[asyncio.Event]:
        try:
            yield asyncio.Event()
        finally:
            left.append(True)

    async def told() -> AsyncIterator[bytes]:
        yield b""

    async def hung_up(*_: Any) -> Any:
        raise OSError

    async def answer() -> None:
        (held := watching()).__enter__()
        await stream._Watched(told(), held, {})({"type": "http", "asgi": {"spec_version": "2.4"}}, hung_up, hung_up)

    with pytest.raises(ClientDisconnect):
        asyncio.run(answer())
    assert left == [True]


def test_a_key_has_a_handful_of_streams_and_another_key_its_own(live: Live, refused: Refused) -> None:
    opened = [live.stream() for _ in range(STREAMS_A_KEY)]
    for one in opened:
        one.__enter__()
    bearer = {"Authorization": f"Bearer {live.door.key('vera')}"}
    answer = httpx.get(f"http://127.0.0.1:{live.port}/v1/stream", headers=bearer)
    refused(answer, 429, "rate-limited", "close one")
    with live.stream("omar"):
        pass
    for one in opened:
        one.__exit__(None, None, None)
    until(lambda: live.wakes.streams == 0)


def test_a_revoked_key_ends_its_stream(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PROOF_SECONDS", 0.3)
    assert PROOF < 60, "within a minute"
    with live.stream() as events:
        with live.door.database.tenant("acme") as conn:
            revoke_key(conn, tenant_id="acme", key_id=live.door.key("vera").rsplit(".", 2)[1])
        assert list(events) == [], "it ends by itself"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderUnavailable("the issuer does not answer"), "provider-unavailable"),
        (RateLimited("as many calls as it may", headers={"Retry-After": "30"}), "rate-limited"),
        (psycopg.OperationalError("the server closed the connection"), "unavailable"),
    ],
)
def test_a_stream_whose_key_cannot_be_proved_says_why_and_ends(
    live: Live, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    """The last part of the answer comes too: one that broke off would be an error to a client instead of an end."""
    monkeypatch.setattr(stream, "PROOF_SECONDS", 0.3)
    bearer = {"Authorization": f"Bearer {live.door.key('vera')}"}
    with httpx.stream("GET", f"http://127.0.0.1:{live.port}/v1/stream", headers=bearer, timeout=10) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": here"
        with monkeypatch.context() as patch:
            patch.setattr(Visit, "_work", _raising(error))
            assert [line for line in lines if line.startswith(":")] == [f": ended {code}"]
    until(lambda: live.wakes.streams == 0)


def test_a_stream_ends_in_words_when_the_database_is_away(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    with live.stream("omar") as events:
        monkeypatch.setattr(stream, "_look", _raising(psycopg.OperationalError("no connection within 5 s")))
        reply(live.door, "L-1")
        assert list(events) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="the runbook's commands need curl")
def test_what_the_runbook_says_to_type_hears_the_stream(live: Live) -> None:
    with live.stream() as events:
        reply(live.door, "L-1")
        seen = next(events)["id"]
    reply(live.door, "L-2")
    page = (Path(__file__).parents[2] / "docs/runbooks/live-stream.md").read_text()
    now, after = re.findall(r"^curl .*$", page, re.MULTILINE)
    environment = {"PATH": os.environ["PATH"], "SPINE_API_KEY": live.door.key("vera"), "SPINE_GATEWAY_URL": f"http://127.0.0.1:{live.port}"}
    for command, awaited in ((now, ": here"), (after.replace("7401.38", seen), '"subject": "L-2"')):
        with subprocess.Popen(
            ["bash", "-c", f"exec {command} --silent --max-time 10"], stdout=subprocess.PIPE, text=True, env=environment
        ) as curl:
            assert curl.stdout is not None
            try:
                assert any(awaited in line for line in curl.stdout), command
            finally:
                curl.terminate()


def _raising(error: Exception) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    return refuse


PROOF = stream.PROOF_SECONDS + stream.HEARTBEAT_SECONDS


def test_a_sign_of_life_comes_while_nothing_happens(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.1)
    bearer = {"Authorization": f"Bearer {live.door.key('vera')}"}
    with httpx.stream("GET", f"http://127.0.0.1:{live.port}/v1/stream", headers=bearer, timeout=10) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith(":"))
        assert [next(lines) for _ in range(3)] == [": here"] * 3


def test_a_place_that_no_stream_gave_is_refused(door: Door, refused: Refused) -> None:
    refused(door.get("/v1/stream", headers={"Last-Event-ID": "yesterday"}), 400, "invalid-input", "'yesterday'")
