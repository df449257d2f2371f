"""A running commitment meets a kill switch: it waits, whoever dies meanwhile, and goes on after the release. Nothing is sent under it."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.queues import COMMITMENTS
from shared.events import ActorType, OutreachReplied, Verdict
from spine.audit import Actor
from spine.clock import BusinessClock
from spine.db import Database
from spine.effects import declare
from spine.policy import switches
from spine.policy.switches import Scope
from spine.settings import Settings, variable_of
from spine.telemetry import setup_telemetry
from spine.temporal import connect
from spine.testing.providers import Providers, Signing, Trouble
from tests.orchestration.conftest import provider_settings, providers
from tests.orchestration.standins import clock_text, play, until
from tests.orchestration.test_crash import own_temporal, worker_process
from tests.orchestration.world import TENANT, World, running_world

__all__ = ["own_temporal", "provider_settings", "providers"]
OLGA = Actor(ActorType.HUMAN, "olga")
REPLY = OutreachReplied(lead_id="L1", contact_id="contact/isdom", channel="email", message_ref="m").wire()
RATE = 2000  # a quarter of an hour is half a second


@pytest.fixture
def settings(providers: Providers, checkpoints_url: str) -> Settings:
    return Settings(**providers.settings(), langgraph_database_url=checkpoints_url)


def stop(world: World, scope: Scope = Scope.TENANT, target: str = TENANT) -> None:
    with world.database.tenant(TENANT) as conn:
        switches.engage(conn, tenant_id=TENANT, scope=scope, target=target, reason="bounces", actor=OLGA, now=world.clock.now())


def let_go_on(world: World, scope: Scope = Scope.TENANT, target: str = TENANT) -> None:
    with world.database.tenant(TENANT) as conn:
        switches.release(conn, tenant_id=TENANT, scope=scope, target=target, actor=OLGA, now=world.clock.now())


def sent(providers: Providers) -> list[Any]:
    return list(providers.ledger.entries("email"))


async def replied(world: World, handle: Any) -> Any:
    await until(lambda: "outreach.message_sent" in world.events())
    await handle.signal("replied", REPLY)
    return await handle.result()


def test_what_was_approved_waits_at_the_moment_of_sending_and_is_sent_once_after_the_release(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=RATE) as world:
            world.contact()
            handle = await world.start_outreach()
            asked = await world.asked()
            stop(world)
            await world.decided(asked, Verdict.APPROVE)
            await until(lambda: len(world.rows("select 1 from audit_log where action = 'effect.deferred'")) >= 2)
            assert (sent(providers), world.intents()) == ([], [("send_email", "runnable")])
            let_go_on(world)
            assert (await replied(world, handle))["outcome"] == "replied"
            assert (len(sent(providers)), world.intents()) == (1, [("send_email", "completed")])

    play(scene())


def test_what_is_proposed_under_the_switch_is_denied_and_the_commitment_waits_and_proposes_it_again(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=RATE) as world:
            world.contact()
            stop(world, Scope.ACTION, "send_email")
            handle = await world.start_outreach()
            await until(lambda: world.intents() == [("send_email", "denied")])
            await asyncio.sleep(1.5)  # three looks
            assert world.intents() == [("send_email", "denied")], "it looks at the switch, it does not propose again and again"
            let_go_on(world, Scope.ACTION, "send_email")
            await world.decided(await world.asked(), Verdict.APPROVE)
            assert (await replied(world, handle))["outcome"] == "replied"
            assert world.intents() == [("send_email", "denied"), ("send_email", "completed")]
            keys = [row["key"] for row in world.rows("select key from intents order by created_at")]
            assert keys[1] == f"{keys[0]}~2"
            assert len(sent(providers)) == 1

    play(scene())


def test_a_reply_ends_a_sequence_that_waits_for_the_release(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=RATE) as world:
            world.contact()
            stop(world)
            handle = await world.start_outreach()
            await until(lambda: world.intents() == [("send_email", "denied")])
            await handle.signal(
                "replied", OutreachReplied(lead_id="L1", contact_id="contact/isdom", channel="email", message_ref="m").wire()
            )
            assert (await handle.result())["outcome"] == "replied"
            assert sent(providers) == []

    play(scene())


def test_an_undo_waits_for_the_release_instead_of_failing_for_good(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    """The contract is declined while everything is stopped: the envelope is voided after the release."""

    async def scene() -> None:
        providers.behaviour.signing = Signing(after_seconds=3600)
        async with running_world(temporal, database, settings, rate=RATE) as world:
            world.contact()
            world.owner()
            handle = await world.start_contract()
            asked = await world.asked()
            for who in ("basma", "chidi")[: asked.approvers_needed]:
                await world.decided(asked, Verdict.APPROVE, who)
            await until(lambda: "signature.requested" in world.events())
            stop(world)
            [envelope] = world.rows("select provider_reference from effects where state = 'completed'")
            report = {"deal_id": "D1", "envelope_id": envelope["provider_reference"], "status": "declined", "reported_by": "webhook"}
            await handle.signal("envelope-reported", report)
            await asyncio.sleep(1.5)
            assert [state for action, state in world.intents() if action == "void_envelope"] == []
            assert ("send_contract_for_signature", "completed") in world.intents()
            let_go_on(world)
            assert (await handle.result())["outcome"] == "declined"
            assert ("send_contract_for_signature", "compensated") in world.intents()

    play(scene())


def test_what_an_admin_declares_reaches_the_workflow_that_waits_for_the_provider(
    temporal: str, database: Database, providers: Providers, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost and the provider cannot be asked; once it is declared, the sequence goes on as after a send."""
    monkeypatch.setattr(declare, "UNDER_WAY", timedelta(0))  # the attempts of this test are seconds apart

    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=RATE) as world:
            world.contact()
            providers.behaviour.add(Trouble(provider="email", mode="lose_answer"))
            providers.behaviour.add(Trouble(provider="email", mode="unavailable", times=0))
            handle = await world.start_outreach()
            await world.decided(await world.asked(), Verdict.APPROVE)
            await until(lambda: world.intents() == [("send_email", "unknown")])
            [row] = world.rows("select intent_id::text from intents")
            with world.database.tenant(TENANT) as conn:
                settled = declare.declare_outcome(
                    conn, tenant_id=TENANT, intent_id=row["intent_id"], outcome="completed", reason="in the sent folder",
                    reference="<m-1@mail>", actor=OLGA, clock=world.clock,
                )  # fmt: skip
            assert settled.state == "completed"
            assert (await replied(world, handle)) == {"outcome": "replied", "messages_sent": 1, "why": ""}
            [told] = world.rows("select envelope->'data' as data from events where type = 'spine.outreach.message_sent.v1'")
            assert told["data"]["provider_message_id"] == "<m-1@mail>"

    play(scene())


def test_a_worker_that_is_killed_under_the_switch_loses_nothing(
    own_temporal: str, database: Database, providers: Providers, checkpoints_url: str, vault_key: str, tmp_path: Path
) -> None:
    clock = BusinessClock.parse(clock_text(rate=RATE))
    given = {
        **providers.settings(), "database_url": database.app_url, "langgraph_database_url": checkpoints_url,
        "temporal_address": own_temporal, "vault_key": vault_key, "clock": clock.describe(), "home": str(tmp_path),
    }  # fmt: skip
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SPINE_", "TEMPORAL_"))}
    environment = {**ours, **{variable_of(name): value for name, value in given.items()}}

    async def scene() -> None:
        world = World(database, clock, await connect(own_temporal), COMMITMENTS)
        world.contact()
        with worker_process(environment, tmp_path / "worker.log") as first:
            await world.start_outreach()
            await until(world.pending, timeout=60)
            stop(world)
            await world.decided(world.pending()[0], Verdict.APPROVE)
            await until(lambda: world.rows("select 1 from audit_log where action = 'effect.deferred'"), timeout=30)
            first.kill()
            first.wait()
        assert (sent(providers), world.intents()) == ([], [("send_email", "runnable")])
        let_go_on(world)
        with worker_process(environment, tmp_path / "worker.log"):
            await until(lambda: ("send_email", "completed") in world.intents(), timeout=60)
        assert len(sent(providers)) == 1

    setup_telemetry("spine-tests", Settings())
    play(scene(), seconds=180)
