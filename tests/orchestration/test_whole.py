"""The two commitments with everything real but the outside: what people decide, what providers receive, what is on record."""

import asyncio
from typing import Any

import pytest

from shared.events import Verdict
from spine.db import Database
from spine.settings import Settings
from spine.testing.providers import Providers, Signing, Trouble
from tests.orchestration.standins import play, until
from tests.orchestration.world import TENANT, running_world

REPLY = {"lead_id": "L1", "contact_id": "contact/isdom", "channel": "email", "message_ref": "m-1"}


@pytest.fixture
def settings(providers: Providers, checkpoints_url: str) -> Settings:
    return Settings(**providers.settings(), langgraph_database_url=checkpoints_url)


def mails(providers: Providers) -> list[dict[str, Any]]:
    return [entry["body"] for entry in providers.ledger.entries("email")]


def test_an_approved_message_reaches_the_contact_once_and_a_reply_ends_the_sequence(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=600) as world:
            world.contact()
            handle = await world.start_outreach()
            await world.decided(await world.asked(), Verdict.APPROVE)
            await until(lambda: mails(providers))
            await until(lambda: "outreach.message_sent" in world.events())
            await handle.signal("replied", REPLY)
            assert await handle.result() == {"outcome": "replied", "messages_sent": 1, "why": ""}
            (mail,) = mails(providers)
            assert mail["to"] == ["buyer@isdom.example"]
            assert world.intents() == [("send_email", "completed")]
            assert world.events()[-2:] == ["outreach.completed", "workflow.ended"]
            (effect,) = world.rows("select provider_reference, as_intended from effects")
            assert effect == {"provider_reference": mail["message_id"], "as_intended": True}
            history = (await handle.fetch_history()).to_json()
            assert "buyer@" not in history
            assert mail["subject"] not in history

    play(scene())


def test_an_edited_message_is_judged_again_and_goes_out_as_edited(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=600) as world:
            world.contact()
            handle = await world.start_outreach()
            approval = await world.asked()
            edited = {**approval.intent.payload, "subject": "Edited by a person"}
            await world.decided(approval, Verdict.EDIT, edited=edited)
            await until(lambda: mails(providers))
            assert mails(providers)[0]["subject"] == "Edited by a person"
            await until(lambda: world.intents() == [("send_email", "superseded"), ("send_email", "completed")])
            await handle.signal("replied", REPLY)
            await handle.result()

    play(scene())


def test_a_rejected_message_leaves_nothing_runnable_and_nothing_is_sent(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=600) as world:
            world.contact()
            handle = await world.start_outreach()
            await world.decided(await world.asked(), Verdict.REJECT)
            assert (await handle.result())["outcome"] == "rejected"
            assert world.intents() == [("send_email", "rejected")]
            assert mails(providers) == []

    play(scene())


def test_a_message_that_nobody_decides_about_expires_after_notices_in_business_time(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=60_000) as world:
            world.contact()
            handle = await world.start_outreach()
            assert (await handle.result())["outcome"] == "expired"
            assert world.intents() == [("send_email", "expired")]
            assert world.events().count("approval.sla_escalated") == 3
            assert mails(providers) == []

    play(scene())


def test_a_contact_who_never_agreed_is_not_written_to_and_nobody_is_asked(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=600) as world:
            world.contact(consent=False)
            handle = await world.start_outreach()
            assert (await handle.result())["outcome"] == "not_contactable"
            assert world.intents() == [("send_email", "denied")]
            assert mails(providers) == []

    play(scene())


def test_an_opt_out_between_approval_and_send_is_honoured_at_the_moment_of_the_send(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        # Half past nine in the evening: the approved message has to wait for the morning.
        async with running_world(temporal, database, settings, rate=20_000, start="2026-11-22T21:30:00+03:00") as world:
            world.contact()
            handle = await world.start_outreach()
            await world.decided(await world.asked(), Verdict.APPROVE)
            await until(lambda: world.intents() == [("send_email", "runnable")])
            world.opt_out()
            assert (await handle.result())["outcome"] == "not_contactable"
            assert mails(providers) == []

    play(scene())


def test_the_whole_sequence_keeps_quiet_hours_and_the_weekly_cap(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=120_000, start="2026-11-22T20:00:00+03:00") as world:
            world.contact()
            handle = await world.start_outreach()
            async with world.approving("basma"):
                assert await handle.result() == {"outcome": "exhausted", "messages_sent": 4, "why": ""}
            assert len({mail["message_id"] for mail in mails(providers)}) == len(mails(providers)) == 4
            sent = [row["at"] for row in world.rows("select sent_at at time zone 'Asia/Riyadh' as at from messages_sent order by sent_at")]
            assert all(8 <= at.hour < 21 for at in sent), sent
            assert all((later - first).days >= 7 for first, later in zip(sent, sent[2:], strict=False)), sent

    play(scene())


def test_a_lost_answer_is_cleared_up_by_asking_and_not_by_sending_again(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    providers.behaviour.add(Trouble(provider="email", mode="lose_answer")).add(Trouble(provider="esign", mode="lose_answer"))

    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=600) as world:
            world.contact()
            world.owner()
            outreach, contract = await world.start_outreach(), await world.start_contract()
            async with world.approving("basma", "chidi"):
                await until(lambda: {"outreach.message_sent", "signature.requested"} <= set(world.events()), timeout=30)
            assert {name: count["duplicates"] for name, count in providers.ledger.counts().items()} == {"email": 0, "esign": 0}
            found = world.rows("select plugin, reconciled, attempts from effects order by plugin")
            assert [(row["plugin"], row["reconciled"]) for row in found] == [("email", True), ("esign", True)]
            for handle in (outreach, contract):
                await handle.terminate()

    play(scene())


async def _report(world: Any, handle: Any, status: str) -> None:
    """The provider's webhook, as it arrives through the gateway and the log."""
    await until(lambda: "signature.requested" in world.events(), timeout=30)
    (row,) = world.rows("select provider_reference from effects where action = 'send_contract_for_signature'")
    told = {"deal_id": "D1", "envelope_id": row["provider_reference"], "status": status, "reported_by": "webhook"}
    await handle.signal("envelope-reported", told)


def test_a_contract_takes_two_people_and_once_signed_reaches_crm_and_owner(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=600) as world:
            world.contact()
            world.owner()
            handle = await world.start_contract()
            approval = await world.asked()
            assert approval.approvers_needed == 2
            await world.decided(approval, Verdict.APPROVE, "basma")
            await asyncio.sleep(0.2)
            assert providers.ledger.entries("esign") == [], "one of two is not enough"
            await world.decided(approval, Verdict.APPROVE, "chidi")
            await _report(world, handle, "completed")
            result = await handle.result()
            assert (result["outcome"], result["left_undone"]) == ("signed", [])
            assert {action for action, state in world.intents() if state == "completed"} == {
                "send_contract_for_signature", "crm_deal_update", "notify_owner",
            }  # fmt: skip
            (record,) = providers.ledger.entries("crm")
            assert record["body"] == {"external_id": f"{TENANT}:D1", "stage": "signed", "envelope_id": result["envelope_id"]}
            assert mails(providers)[0]["to"] == ["buyer@revenue-operations.example"]
            assert "signature.completed" in world.events()

    play(scene())


def test_without_a_webhook_the_signature_is_found_by_asking(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=20_000) as world:
            world.contact()
            world.owner()
            handle = await world.start_contract()
            async with world.approving("basma", "chidi"):
                assert (await handle.result())["outcome"] == "signed"

    play(scene())


def test_a_declined_contract_is_voided_through_the_gate_and_the_owner_is_told(
    temporal: str, database: Database, providers: Providers, settings: Settings
) -> None:
    providers.behaviour.signing = Signing(after_seconds=0, decline_marker="isdom")

    async def scene() -> None:
        async with running_world(temporal, database, settings, rate=600) as world:
            world.contact()
            world.owner()
            handle = await world.start_contract()
            async with world.approving("basma", "chidi"):
                await _report(world, handle, "declined")
                assert (await handle.result())["outcome"] == "declined"
            assert world.intents() == [
                ("send_contract_for_signature", "compensated"), ("void_envelope", "completed"), ("notify_owner", "completed"),
            ]  # fmt: skip
            assert [entry["operation"] for entry in providers.ledger.entries("esign")] == ["envelope.create", "envelope.void"]
            assert {"workflow.compensated", "signature.voided"} <= set(world.events())

    play(scene())
