"""What came back from people and providers, and what it opens, closes and halts: through the gate."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from shared.events import ActorType, OutreachDeliveryFailed, OutreachReplied
from spine import contacts
from spine.audit import Actor
from spine.clock import BusinessClock
from spine.effects import Deferred
from spine.errors import Conflict, InvalidInput
from spine.identity import Principal, Role
from spine.intake import publish_fact
from spine.intake.facts import Fact
from spine.registry import Registry
from tests.governance.support import Desk

OLGA = Actor(ActorType.HUMAN, "olga")
WHATSAPP = {"action": "send_whatsapp", "payload": {"contact_id": "contact/1", "text": "Thank you, I will call."}}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    with desk.database.tenant(desk.tenant) as conn:
        for channel in ("whatsapp", "email"):
            contacts.record_consent(
                conn, tenant_id=desk.tenant, contact_id="contact/1", purpose="marketing", channel=channel, source="form",
                now=desk.clock.now() - timedelta(days=2),
            )  # fmt: skip
    return desk


def said(desk: Desk, **changes: object) -> tuple[str, str]:
    """State and first reason of a WhatsApp message that is proposed now."""
    from spine import intents

    with desk.database.tenant(desk.tenant) as conn:
        proposed = intents.propose(
            conn, desk.proposal(**{**WHATSAPP, **changes}), policy=desk.policy, clock=desk.clock, effects_allowed=("send_whatsapp",)  # type: ignore[arg-type]
        )  # fmt: skip
    return proposed.state.value, proposed.reasons[0].code


def hears(desk: Desk, data: OutreachReplied | OutreachDeliveryFailed, **more: object) -> None:
    principal = Principal(tenant_id=desk.tenant, id="olga", role=Role.OPERATOR, actor_type=ActorType.HUMAN)
    clock = BusinessClock(business_anchor=desk.clock.now(), real_anchor=datetime.now(UTC))
    fact = Fact(type=data.TYPE, data=data.wire(), **more)  # type: ignore[arg-type]
    with desk.database.tenant(desk.tenant) as conn:
        publish_fact(conn, fact, principal=principal, registry=Registry.of([]), clock=clock, call_id=data.message_ref, new_flow="flow")


def reply(reference: str = "m-1", channel: str = "whatsapp") -> OutreachReplied:
    return OutreachReplied(lead_id="L-1", contact_id="contact/1", channel=channel, message_ref=reference)  # type: ignore[arg-type]


def test_a_reply_on_whatsapp_opens_a_day_of_free_text(desk: Desk) -> None:
    assert said(desk) == ("denied", "outside-whatsapp-window")
    with desk.database.tenant(desk.tenant) as conn:
        contacts.hear(conn, reply(), tenant_id=desk.tenant, at=desk.clock.now(), now=desk.clock.now())
    assert said(desk)[0] == "awaiting_approval"
    desk.clock.advance(hours=24)
    assert said(desk) == ("denied", "outside-whatsapp-window")


def test_a_reply_that_is_published_opens_it_and_one_from_the_future_counts_as_now(desk: Desk) -> None:
    hears(desk, reply("m-0", "email"))
    assert said(desk) == ("denied", "outside-whatsapp-window")
    hears(desk, reply(), occurred_at=desk.clock.now() + timedelta(days=300))
    (row,) = desk.sql("select received_at from messages_received where channel = 'whatsapp'")
    assert row["received_at"] < desk.clock.now() + timedelta(minutes=5)


def test_an_approved_template_may_be_sent_at_any_time_and_a_withdrawn_one_never(desk: Desk) -> None:
    template = {"payload": {"contact_id": "contact/1", "template": "welcome_ar"}}
    assert said(desk, **template) == ("denied", "template-not-approved")
    with desk.database.tenant(desk.tenant) as conn:
        contacts.approve_template(conn, tenant_id=desk.tenant, channel="whatsapp", name="welcome_ar", now=desk.clock.now())
    assert said(desk, **template)[0] == "awaiting_approval"
    with desk.database.tenant(desk.tenant) as conn:
        contacts.withdraw_template(conn, tenant_id=desk.tenant, channel="whatsapp", name="welcome_ar", now=desk.clock.now())
    assert said(desk, **template) == ("denied", "template-not-approved")


def _sent(desk: Desk, count: int, channel: str = "email") -> None:
    desk.sql(
        "insert into messages_sent (tenant_id, intent_id, contact_id, channel, sent_at) "
        "select %s, gen_random_uuid(), 'contact/' || n, %s, %s from generate_series(100, 99 + %s) as n",
        desk.tenant, channel, desk.clock.now() - timedelta(hours=1), count,
    )  # fmt: skip


def _reported(desk: Desk, kind: str, reference: str, contact_id: str = "contact/1") -> None:
    hears(desk, OutreachDeliveryFailed(contact_id=contact_id, channel="email", kind=kind, message_ref=reference))  # type: ignore[arg-type]


def test_too_many_bounces_halt_the_channel_until_a_person_resumes_it_and_waiting_work_waits(desk: Desk) -> None:
    approved = desk.runnable()
    _sent(desk, 50)
    for number in range(3):
        _reported(desk, "bounce", f"m-{number}", f"contact/{number}")
        _reported(desk, "bounce", f"m-{number}", f"contact/{number}")  # told twice, it counts once
    waits = desk.execute(approved.intent_id)
    assert isinstance(waits, Deferred)
    assert waits.code == "channel-halted"
    assert desk.propose().reasons[0].code == "channel-halted"
    assert [row["action"] for row in desk.sql("select action from audit_log where action = 'channel.halted' and severity = 'V2'")] == [
        "channel.halted"
    ]
    with desk.database.tenant(desk.tenant) as conn:
        with pytest.raises(InvalidInput, match="reason"):
            contacts.resume_channel(conn, tenant_id=desk.tenant, channel="email", actor=OLGA, reason=" ", now=desk.clock.now())
        desk.clock.advance(minutes=30)
        contacts.resume_channel(conn, tenant_id=desk.tenant, channel="email", actor=OLGA, reason="list cleaned", now=desk.clock.now())
        with pytest.raises(Conflict, match="not halted"):
            contacts.resume_channel(conn, tenant_id=desk.tenant, channel="email", actor=OLGA, reason="again", now=desk.clock.now())
    assert not isinstance(desk.execute(approved.intent_id), Deferred)
    assert desk.provider.performed == 1


def test_a_complaint_is_an_objection(desk: Desk) -> None:
    _reported(desk, "complaint", "m-1")
    assert desk.propose().reasons[0].code == "opted-out"


def test_a_tenants_day_is_full_at_its_cap_and_says_when_there_is_a_next_one(desk: Desk) -> None:
    _sent(desk, 199)
    approved, other = desk.runnable(), desk.runnable()
    assert not isinstance(desk.execute(approved.intent_id), Deferred)
    waits = desk.execute(other.intent_id)
    assert waits == Deferred(desk.clock.now().replace(hour=5) + timedelta(days=1), "daily-cap")
    desk.clock.at = waits.not_before  # type: ignore[union-attr]
    assert not isinstance(desk.execute(other.intent_id), Deferred)


def test_many_that_are_sent_at_once_do_not_overfill_the_day(desk: Desk) -> None:
    """Room for one, six at once, each to somebody else: without the lock on the tenant's channel more than one finds it."""
    _sent(desk, 199)
    who = [desk.contact(f"contact/{number}") for number in range(2, 8)]
    approved = [desk.runnable(payload={"contact_id": one, "subject": f"Hello {one}", "body": "…"}) for one in who]
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(lambda one: desk.execute(one.intent_id), approved))
    assert sum(isinstance(outcome, Deferred) for outcome in outcomes) == 5
    assert desk.provider.performed == 1


def test_a_number_is_kept_as_the_world_writes_it_and_used_for_its_channels(desk: Desk) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        contacts.upsert_contact(conn, tenant_id=desk.tenant, contact_id="contact/1", account="Acme", email=None, phone="050 123 4567")
        assert contacts.contact_address(conn, desk.tenant, "contact/1", "whatsapp") == "+966501234567"
        assert contacts.contact_address(conn, desk.tenant, "contact/1") is None
        contacts.upsert_contact(conn, tenant_id=desk.tenant, contact_id="contact/1", account="Acme", email="a@acme.example")
        assert contacts.contact_address(conn, desk.tenant, "contact/1", "phone") == "+966501234567"
        with pytest.raises(InvalidInput) as refused:
            contacts.upsert_contact(conn, tenant_id=desk.tenant, contact_id="contact/1", account="Acme", email=None, phone="12")
        assert "12" not in str(refused.value).replace("+966501234567", "")
