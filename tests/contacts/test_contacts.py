"""Whether a person may be written to, now."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine import contacts
from spine.contacts import Contactable, ContactFacts, ContactRules, NotContactable, judge_contact
from spine.errors import InvalidInput, NotFound
from tests.governance.support import NOON, Desk

RIYADH = ZoneInfo("Asia/Riyadh")
FINE = ContactFacts(consented_at=NOON - timedelta(days=30), consent_expires_at=NOON + timedelta(days=335))


def riyadh(hour: int, minute: int = 0, day: int = 22) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=RIYADH).astimezone(UTC)


@pytest.mark.parametrize(
    ("facts", "now", "expected"),
    [
        (FINE, NOON, Contactable()),
        (replace(FINE, opted_out_at=NOON - timedelta(days=400)), NOON, NotContactable("opted-out")),
        (ContactFacts(), NOON, NotContactable("no-consent")),
        (replace(FINE, known=False), NOON, NotContactable("no-consent")),
        (replace(FINE, consented_at=NOON + timedelta(days=1)), NOON, NotContactable("no-consent")),
        (replace(FINE, consent_expires_at=NOON), NOON, NotContactable("consent-expired")),
        (replace(FINE, consent_expires_at=None), NOON, NotContactable("consent-expired")),
        (replace(FINE, sent_in_sequence=3), NOON, Contactable()),
        (replace(FINE, sent_in_sequence=4), NOON, NotContactable("follow-up-cap")),
        (replace(FINE, sent_this_week=[NOON - timedelta(days=3)]), NOON, Contactable()),
        (FINE, riyadh(20, 59), Contactable()),
        (FINE, riyadh(21), NotContactable("quiet-hours", riyadh(8, day=23))),
        (FINE, riyadh(3), NotContactable("quiet-hours", riyadh(8))),
        (FINE, riyadh(8), Contactable()),
    ],
)
def test_may_this_contact_be_written_to(facts: ContactFacts, now: datetime, expected: Contactable | NotContactable) -> None:
    assert judge_contact(facts, now, RIYADH) == expected


def test_the_checks_come_in_the_order_of_the_page() -> None:
    facts = ContactFacts(
        opted_out_at=NOON,
        consented_at=NOON - timedelta(days=800),
        consent_expires_at=NOON - timedelta(days=400),
        sent_this_week=[riyadh(20), riyadh(21)],
        sent_in_sequence=9,
    )
    night = riyadh(23)
    order = []
    mends = [
        {"opted_out_at": None},
        {"consent_expires_at": NOON + timedelta(days=9)},
        {"sent_in_sequence": 0},
        {"sent_this_week": ()},
    ]
    for mend in mends:
        verdict = judge_contact(facts, night, RIYADH)
        assert isinstance(verdict, NotContactable)
        order.append(verdict.code)
        facts = replace(facts, **mend)
    assert order == ["opted-out", "consent-expired", "follow-up-cap", "weekly-cap"]
    assert judge_contact(facts, night, RIYADH) == NotContactable("quiet-hours", riyadh(8, day=23))


def test_the_weekly_cap_frees_a_week_after_the_older_of_the_two_and_not_in_the_night() -> None:
    evening = riyadh(20, 30, day=18)
    capped = replace(FINE, sent_this_week=[evening, riyadh(10, day=20)])
    assert judge_contact(capped, NOON, RIYADH) == NotContactable("weekly-cap", evening + timedelta(days=7))
    late = replace(FINE, sent_this_week=[riyadh(23, day=18), riyadh(10, day=20)])
    assert judge_contact(late, NOON, RIYADH) == NotContactable("weekly-cap", riyadh(8, day=26))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - the zone is put on below
    st.lists(st.integers(1, 7 * 24 * 60), max_size=4),
    st.sampled_from(["Asia/Riyadh", "Europe/Berlin", "America/Sao_Paulo"]),
)
def test_when_it_says_later_then_later_is_allowed_as_far_as_time_goes(naive: datetime, minutes_ago: list[int], zone: str) -> None:
    now = naive.replace(tzinfo=UTC)
    facts = ContactFacts(
        consented_at=now - timedelta(days=1),
        consent_expires_at=now + timedelta(days=360),
        sent_this_week=[now - timedelta(minutes=minutes) for minutes in minutes_ago],
    )
    verdict = judge_contact(facts, now, rules=ContactRules(zone=zone))
    if isinstance(verdict, NotContactable):
        assert verdict.next_allowed_at is not None
        assert verdict.next_allowed_at > now
        assert judge_contact(facts, verdict.next_allowed_at, rules=ContactRules(zone=zone)) == Contactable()


def facts_of(desk: Desk, contact_id: str = "contact/1", channel: str = "email") -> ContactFacts:
    with desk.database.tenant(desk.tenant) as conn:
        return contacts.contact_facts(
            conn, tenant_id=desk.tenant, contact_id=contact_id, purpose="marketing", channel=channel, now=desk.clock.now()
        )


def test_consent_lasts_twelve_months_and_a_newer_one_takes_its_place(desk: Desk) -> None:
    given_at = desk.clock.now() - timedelta(days=1)
    assert facts_of(desk).consent_expires_at == given_at.replace(year=given_at.year + 1)
    desk.clock.advance(days=360)
    desk.contact()
    desk.clock.advance(days=200)
    assert judge_contact(facts_of(desk), desk.clock.now(), RIYADH) == Contactable()
    desk.clock.advance(days=200)
    assert judge_contact(facts_of(desk), desk.clock.now(), RIYADH) == NotContactable("consent-expired")


def test_an_opt_out_is_at_once_per_channel_and_no_later_consent_lifts_it(desk: Desk) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        contacts.opt_out(conn, tenant_id=desk.tenant, contact_id="contact/1", channel="email", source="link", now=desk.clock.now())
        contacts.record_consent(
            conn, tenant_id=desk.tenant, contact_id="contact/1", purpose="marketing", channel="phone", source="call", now=desk.clock.now()
        )
    desk.clock.advance(days=30)
    desk.contact()
    assert judge_contact(facts_of(desk), desk.clock.now(), RIYADH) == NotContactable("opted-out")
    assert judge_contact(facts_of(desk, channel="phone"), desk.clock.now(), RIYADH) == Contactable()


def test_no_record_is_no_consent(desk: Desk) -> None:
    assert judge_contact(facts_of(desk, "contact/nobody"), desk.clock.now(), RIYADH) == NotContactable("no-consent")


def test_consent_of_an_unknown_contact_or_for_an_unknown_purpose_is_refused(desk: Desk) -> None:
    given = {"tenant_id": desk.tenant, "channel": "email", "source": "form", "now": NOON}
    with desk.database.tenant(desk.tenant) as conn, pytest.raises(NotFound, match="upsert the contact"):
        contacts.record_consent(conn, contact_id="contact/nobody", purpose="marketing", **given)
    with desk.database.tenant(desk.tenant) as conn, pytest.raises(InvalidInput, match="'gossip'"):
        contacts.record_consent(conn, contact_id="contact/1", purpose="gossip", **given)


def test_an_address_cannot_become_a_contact_id_and_is_not_repeated(desk: Desk) -> None:
    with desk.database.tenant(desk.tenant) as conn, pytest.raises(InvalidInput) as refused:
        contacts.upsert_contact(conn, tenant_id=desk.tenant, contact_id="ana@acme.example", account="Acme", email=None)
    assert "ana@acme.example" not in str(refused.value)


def test_an_address_is_found_by_reference_and_its_absence_is_named(desk: Desk) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        assert contacts.address_of(conn, desk.tenant, "contact/1") == "buyer@acme.example"
        with pytest.raises(NotFound, match="'contact/nobody'"):
            contacts.address_of(conn, desk.tenant, "contact/nobody")
