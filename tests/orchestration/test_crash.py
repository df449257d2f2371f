"""kill -9 of the worker in the middle of its sends: after a restart each effect was seen once by its provider."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.queues import COMMITMENTS
from shared.events import Verdict
from spine.clock import BusinessClock
from spine.db import Database
from spine.settings import Settings, variable_of
from spine.stack.ports import free_ports
from spine.stack.temporal_server import EmbeddedTemporal
from spine.telemetry import setup_telemetry
from spine.temporal import connect
from spine.testing.providers import Providers, Signing, Trouble
from tests.orchestration.standins import clock_text, play, until
from tests.orchestration.world import World

LEADS, DEALS = 8, 4


@pytest.fixture
def own_temporal(engines_home: Path) -> Iterator[str]:
    """A server of this test's own: the worker process serves the queue that everybody uses."""
    port, http_port, metrics_port = free_ports(3)
    home = engines_home / f"crash-{port}"
    with EmbeddedTemporal(home=home, port=port, http_port=http_port, metrics_port=metrics_port).running() as server:
        yield server.address


@contextmanager
def worker_process(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        command = [sys.executable, "-m", "orchestration.worker"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            finally:
                process.kill()
                process.wait()


def test_a_worker_killed_in_the_middle_of_its_sends_sends_nothing_twice_and_forgets_nothing(
    own_temporal: str, database: Database, providers: Providers, checkpoints_url: str, vault_key: str, tmp_path: Path
) -> None:
    clock = BusinessClock.parse(clock_text(rate=60))  # an hour a minute: nobody is late, no reply is waited out
    given = {
        **providers.settings(),
        "database_url": database.app_url,
        "langgraph_database_url": checkpoints_url,
        "temporal_address": own_temporal,
        "vault_key": vault_key,
        "clock": clock.describe(),
        "home": str(tmp_path),
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SPINE_", "TEMPORAL_"))}
    environment = {**ours, **{variable_of(name): value for name, value in given.items()}}
    # Every provider does what it is asked at once, and says so late: what is under way at the kill has happened, unheard.
    for provider in ("email", "esign"):
        providers.behaviour.add(Trouble(provider=provider, mode="late", times=0, delay_seconds=0.8))
    providers.behaviour.signing = Signing(after_seconds=3600)

    def made() -> int:
        return sum(count["effects"] for count in providers.ledger.counts().values())

    def completed() -> list[tuple[str, str]]:
        return [intent for intent in world.intents() if intent[1] == "completed"]

    async def scene() -> None:
        nonlocal world
        world = World(database, clock, await connect(own_temporal), COMMITMENTS)
        with worker_process(environment, tmp_path / "worker.log") as first:
            for number in range(LEADS):
                world.contact(f"contact/c{number}")
                await world.start_outreach(lead_id=f"L{number}", contact_id=f"contact/c{number}")
            for number in range(DEALS):
                await world.start_contract(deal_id=f"D{number}", contact_id=f"contact/c{number}")
            await until(lambda: len(world.pending()) == LEADS + DEALS, timeout=60)
            for approval in world.pending():
                for who in ("basma", "chidi")[: approval.approvers_needed]:
                    await world.decided(approval, Verdict.APPROVE, who)
            await until(lambda: made() >= 3, timeout=30)
            first.kill()
            first.wait()
        begun = made()
        assert len(completed()) < begun, "the kill has to fall between a provider's doing and our knowing"
        providers.behaviour.clear()
        with worker_process(environment, tmp_path / "worker.log") as second:
            await until(lambda: len(completed()) == LEADS + DEALS, timeout=60)
            second.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(second.wait, 20) == 0

    world: World = None  # type: ignore[assignment]
    setup_telemetry("spine-tests", Settings())
    play(scene(), seconds=150)

    counts = providers.ledger.counts()
    assert counts["email"]["effects"] == counts["email"]["keys"] == LEADS
    assert counts["esign"]["effects"] == counts["esign"]["keys"] == DEALS
    effects = database_rows(world)
    assert {row["state"] for row in effects} == {"completed"}
    assert len(effects) == LEADS + DEALS
    assert any(row["attempts"] > 1 for row in effects), "somebody had to ask what had become of it"
    assert {row["provider_reference"] for row in effects if row["plugin"] == "email"} == {
        entry["key"] for entry in providers.ledger.entries("email")
    }
    assert world.rows("select 1 from audit_log where action = 'effect.retried'")
    assert not [line for line in (tmp_path / "worker.log").read_text().splitlines() if ".example" in json.dumps(line)]


def database_rows(world: World) -> list[dict[str, object]]:
    return world.rows("select plugin, state, attempts, reconciled, provider_reference from effects")
