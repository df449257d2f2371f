"""Windows, caps, hours and halts: each verdict with its code, and a time where waiting helps."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spine.contacts import ChannelRules, Contactable, ContactFacts, ContactRules, Hours, NotContactable, end_of_quiet_hours, judge_contact
from tests.contacts.test_contacts import FINE, RIYADH, riyadh
from tests.governance.support import NOON

WROTE = replace(FINE, last_received_at=NOON - timedelta(hours=1))
OFFICE = Hours(days=("sun", "mon", "tue", "wed", "thu"), opens=time(9), closes=time(17))
HOURS = {"email": ChannelRules(daily_cap=200, hours=OFFICE)}


@pytest.mark.parametrize(
    ("facts", "now", "expected"),
    [
        (FINE, NOON, NotContactable("outside-whatsapp-window")),
        (WROTE, NOON, Contactable()),
        (replace(FINE, last_received_at=NOON - timedelta(hours=24)), NOON, NotContactable("outside-whatsapp-window")),
        (replace(FINE, last_received_at=NOON - timedelta(hours=23, minutes=59)), NOON, Contactable()),
        (replace(FINE, template_approved=True), NOON, Contactable()),
        (replace(WROTE, template_approved=False), NOON, NotContactable("template-not-approved")),
        (replace(WROTE, opted_out_at=NOON), NOON, NotContactable("opted-out")),
        (replace(FINE, template_approved=True), riyadh(22), NotContactable("quiet-hours", riyadh(8, day=23))),
        # wrote at 21:30: at eight in the morning it may still be answered freely
        (replace(FINE, last_received_at=riyadh(21, 30)), riyadh(22), NotContactable("quiet-hours", riyadh(8, day=23))),
        # wrote at seven in the morning of the day before: when the night is over, so is the window
        (replace(FINE, last_received_at=riyadh(7)), riyadh(22), NotContactable("outside-whatsapp-window")),
        (replace(WROTE, day_filled_by=riyadh(9)), NOON, NotContactable("daily-cap", riyadh(8, day=23))),
    ],
)
def test_free_text_on_whatsapp_answers_somebody_within_a_day(
    facts: ContactFacts, now: datetime, expected: Contactable | NotContactable
) -> None:
    assert judge_contact(facts, now, RIYADH, channel="whatsapp") == expected


def test_the_window_is_whatsapps_only() -> None:
    for channel in ("email", "sms"):
        assert judge_contact(FINE, NOON, RIYADH, channel=channel) == Contactable()


def test_when_the_day_is_full_the_next_one_is_named_after_its_quiet_hours() -> None:
    full = replace(FINE, day_filled_by=riyadh(9))
    assert judge_contact(full, NOON, RIYADH) == NotContactable("daily-cap", riyadh(8, day=23))
    assert judge_contact(replace(FINE, day_filled_by=riyadh(23, day=21)), NOON, RIYADH) == Contactable()
    assert judge_contact(full, NOON, RIYADH, channel="sms") == Contactable()  # no cap is said for it


def test_calls_are_made_in_working_hours_and_never_on_a_weekend() -> None:
    thursday = riyadh(18, day=26)
    assert judge_contact(FINE, riyadh(17, 59, day=26), RIYADH, channel="phone") == Contactable()
    assert judge_contact(FINE, thursday, RIYADH, channel="phone") == NotContactable("channel-hours", riyadh(9, day=29))
    assert judge_contact(FINE, riyadh(8, 30), RIYADH, channel="phone") == NotContactable("channel-hours", riyadh(9))
    assert judge_contact(FINE, riyadh(23, day=26), RIYADH, channel="phone") == NotContactable("quiet-hours", riyadh(9, day=29))


def test_the_table_may_put_office_hours_on_email() -> None:
    friday = riyadh(12, day=27)
    assert judge_contact(FINE, friday, RIYADH) == Contactable()
    assert judge_contact(FINE, friday, RIYADH, ContactRules(channels=HOURS)) == NotContactable("channel-hours", riyadh(9, day=29))


@pytest.mark.parametrize(
    ("sent", "bounces", "complaints", "halted"),
    [
        (100, 5, 0, False),
        (100, 6, 0, True),
        (19, 19, 19, False),
        (20, 2, 0, True),
        (1000, 0, 1, False),
        (1000, 0, 2, True),
        (999, 0, 1, True),
    ],
)
def test_a_channel_is_halted_above_its_share_of_bounces_or_complaints(sent: int, bounces: int, complaints: int, halted: bool) -> None:
    facts = replace(FINE, channel_sent=sent, channel_bounces=bounces, channel_complaints=complaints)
    assert judge_contact(facts, NOON, RIYADH) == (NotContactable("channel-halted") if halted else Contactable())


def test_hours_that_leave_no_time_are_refused() -> None:
    with pytest.raises(ValidationError, match="quiet hours"):
        ContactRules(channels={"email": ChannelRules(hours=Hours(days=("sun",), opens=time(6), closes=time(7)))})
    with pytest.raises(ValidationError, match="opens before it closes"):
        Hours(days=("sun",), opens=time(9), closes=time(9))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - the zone is put on below
    st.lists(st.integers(1, 7 * 24 * 60), max_size=4),
    st.one_of(st.none(), st.integers(0, 48 * 60)),
    st.sampled_from(["email", "phone", "whatsapp"]),
    st.sampled_from(["Asia/Riyadh", "Europe/Berlin", "America/Sao_Paulo"]),
    st.sampled_from([ContactRules().channels, HOURS, {}]),
)
def test_the_time_that_is_named_is_never_quiet_and_asking_then_is_not_refused_for_the_same_reason(
    naive: datetime, week: list[int], filled: int | None, channel: str, zone: str, channels: dict[str, ChannelRules]
) -> None:
    now, rules = naive.replace(tzinfo=UTC), ContactRules(zone=zone, channels=channels)
    facts = ContactFacts(
        consented_at=now - timedelta(days=1),
        consent_expires_at=now + timedelta(days=360),
        sent_this_week=[now - timedelta(minutes=minutes) for minutes in week],
        day_filled_by=None if filled is None else now - timedelta(minutes=filled),
        template_approved=True,
    )
    verdict = judge_contact(facts, now, rules=rules, channel=channel)
    if isinstance(verdict, NotContactable):
        assert verdict.next_allowed_at is not None
        assert verdict.next_allowed_at > now
        assert end_of_quiet_hours(verdict.next_allowed_at, ZoneInfo(zone), rules) is None
        assert judge_contact(facts, verdict.next_allowed_at, rules=rules, channel=channel) == Contactable()
