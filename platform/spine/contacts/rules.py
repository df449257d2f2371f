"""May a person be written to, now? A pure judgement over what is on record, and the figures it goes by.

Consent is purpose × channel and lasts twelve months; an opt-out is at once, permanent and per channel: no later consent lifts it.
Sources: domain.md §10.3 (PDPL, contactability, channel compliance), where the order of the checks comes from too. Where the sources
disagree the stricter one is kept, with one exception: e-mail is held to the quiet hours (21 to 8) rather than to office hours
(Sunday to Thursday, 9 to 17), which the policy table adds by a line: `contact: {channels: {email: {hours: …}}}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, model_validator

PURPOSES = ("marketing", "sales", "service", "analytics")
CHANNELS = ("whatsapp", "email", "sms", "phone")
_WEEK = timedelta(days=7)

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Channel = Literal["whatsapp", "email", "sms", "phone"]
Share = Annotated[Decimal, Field(ge=0, le=1)]


class Hours(BaseModel):
    """When a channel is used at all: these days, from `opens` to before `closes`, by the clock of the rules' zone."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    days: tuple[Weekday, ...] = Field(min_length=1)
    opens: time
    closes: time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError(f"a channel opens before it closes, not at {self.opens} until {self.closes}")
        return self


class ChannelRules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    daily_cap: int | None = Field(default=None, ge=1)
    """Messages of one tenant a day on this channel, whoever gets them."""
    hours: Hours | None = None


def _channels() -> Mapping[Channel, ChannelRules]:
    office = Hours(days=("sun", "mon", "tue", "wed", "thu"), opens=time(9), closes=time(18))
    return {"email": ChannelRules(daily_cap=200), "whatsapp": ChannelRules(daily_cap=100), "phone": ChannelRules(hours=office)}


class ContactRules(BaseModel):
    """The numbers of contactability. They are part of the policy table, so that its version covers them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    zone: str = "Asia/Riyadh"
    quiet_from: time = time(21)
    quiet_until: time = time(8)
    weekly_cap: int = Field(default=2, ge=1)
    follow_ups: int = Field(default=3, ge=0)
    """At most this many messages after the first one of a sequence; a reply ends the sequence."""
    channels: Mapping[Channel, ChannelRules] = Field(default_factory=_channels)
    whatsapp_window: timedelta = timedelta(hours=24)
    """Free text only so long after the contact's own last message; after that an approved template (Meta's rule)."""
    bounce_limit: Share = Decimal("0.05")
    complaint_limit: Share = Decimal("0.001")
    """Above these shares of what was sent, a channel is halted until a person resumes it."""
    halt_window: timedelta = timedelta(days=30)
    halt_from: int = Field(default=20, ge=1)
    """Fewer messages than this say nothing about a share."""

    @model_validator(mode="after")
    def _the_zone_is_one(self) -> Self:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # no such zone; a path out of the zones; a folder of them
            raise ValueError(f"zone {self.zone!r} is no time zone: give a name such as 'Asia/Riyadh'") from error
        return self

    @model_validator(mode="after")
    def _some_time_is_left(self) -> Self:
        for channel, rules in self.channels.items():
            if rules.hours is not None and _is_quiet(rules.hours.opens, self):
                raise ValueError(f"channel {channel!r} opens at {rules.hours.opens}, inside the quiet hours: nothing could be sent then")
        return self

    def of(self, channel: str) -> ChannelRules:
        return next((rules for name, rules in self.channels.items() if name == channel), ChannelRules())


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFacts:
    """What is on record about one contact, for one purpose and channel, and about the tenant's use of that channel."""

    known: bool = True
    opted_out_at: datetime | None = None
    consented_at: datetime | None = None
    consent_expires_at: datetime | None = None
    sent_this_week: Sequence[datetime] = ()
    """Times of the messages on this channel in the last seven days, oldest first."""
    sent_in_sequence: int = 0
    """Messages that the asking workflow has already sent to this contact."""
    last_received_at: datetime | None = None
    """When this contact last wrote to us on this channel."""
    template_approved: bool | None = None
    """Of the template that the message names; None: it is free text."""
    day_filled_by: datetime | None = None
    """The tenant's newest message but so many as the day's cap leaves: while it lies in today, the day is full. None: fewer were sent."""
    channel_sent: int = 0
    channel_bounces: int = 0
    channel_complaints: int = 0
    """The tenant's messages on this channel since it was last resumed, at most `halt_window` back, and what was reported of them."""


@dataclass(frozen=True, slots=True)
class Contactable:
    pass


@dataclass(frozen=True, slots=True)
class NotContactable:
    """`next_allowed_at` is None when waiting does not help."""

    code: str
    next_allowed_at: datetime | None = None


def judge_contact(
    facts: ContactFacts, now: datetime, zone: ZoneInfo | None = None, rules: ContactRules | None = None, *, channel: str = "email"
) -> Contactable | NotContactable:
    """May this contact be written to at `now` on `channel`? The first that says no wins.

    Order: permanent opt-out, no consent, expired consent, halted channel, WhatsApp's window, follow-up cap, weekly cap, the tenant's
    cap of the day, quiet hours, hours of the channel. A time that is given as `next_allowed_at` lies outside the quiet hours and
    inside the channel's, and neither cap stands against it as far as is known now; but consent may have expired by then, and others
    may have been written to: ask again at that time.
    """
    rules = rules or ContactRules()
    zone = zone or ZoneInfo(rules.zone)
    if facts.opted_out_at is not None:
        return NotContactable("opted-out")
    if not facts.known or facts.consented_at is None or facts.consented_at > now:
        return NotContactable("no-consent")
    if facts.consent_expires_at is None or facts.consent_expires_at <= now:
        return NotContactable("consent-expired")
    if is_halted(facts.channel_sent, facts.channel_bounces, facts.channel_complaints, rules):
        return NotContactable("channel-halted")
    if facts.template_approved is False:
        return NotContactable("template-not-approved")
    window = _window_of(facts, channel, rules)
    if window is not None and window <= now:
        return NotContactable("outside-whatsapp-window")
    if facts.sent_in_sequence > rules.follow_ups:
        return NotContactable("follow-up-cap")
    code, at_the_earliest = _capped(facts, now, zone, rules, channel)
    when = opening(at_the_earliest, zone, rules, channel)
    if code is None and when == now:
        return Contactable()
    if window is not None and window <= when:
        return NotContactable("outside-whatsapp-window")  # by the time that it may be said, it may not be said freely any more
    quiet = "quiet-hours" if end_of_quiet_hours(now, zone, rules) else "channel-hours"
    return NotContactable(code or quiet, when)


def is_halted(sent: int, bounces: int, complaints: int, rules: ContactRules) -> bool:
    """Above a share of bounces or complaints a sender is taken for a nuisance, by providers and by the law alike."""
    return sent >= rules.halt_from and (bounces > rules.bounce_limit * sent or complaints > rules.complaint_limit * sent)


def opening(at: datetime, zone: ZoneInfo, rules: ContactRules, channel: str) -> datetime:
    """The first moment from `at` on that is outside the quiet hours and inside the channel's hours, in `at`'s own zone."""
    hours = rules.of(channel).hours
    while later := end_of_quiet_hours(at, zone, rules) or (hours and _next_opening(at, zone, hours)):
        at = later
    return at


def end_of_quiet_hours(at: datetime, zone: ZoneInfo, rules: ContactRules) -> datetime | None:
    """When the quiet hours that `at` falls into end, in `at`'s own zone; None outside them. Their end is not quiet any more."""
    local = at.astimezone(zone)
    if not _is_quiet(local.time(), rules):
        return None
    overnight = rules.quiet_from > rules.quiet_until
    day = local.date() + timedelta(days=1 if overnight and local.time() >= rules.quiet_from else 0)
    return datetime.combine(day, rules.quiet_until, tzinfo=zone).astimezone(at.tzinfo)


def _is_quiet(clock: time, rules: ContactRules) -> bool:
    if rules.quiet_from > rules.quiet_until:
        return clock >= rules.quiet_from or clock < rules.quiet_until
    return rules.quiet_from <= clock < rules.quiet_until


def _next_opening(at: datetime, zone: ZoneInfo, hours: Hours) -> datetime | None:
    local = at.astimezone(zone)
    is_open_day = _WEEKDAYS[local.weekday()] in hours.days
    if is_open_day and hours.opens <= local.time() < hours.closes:
        return None
    ahead = (day for day in range(8) if _WEEKDAYS[(local.weekday() + day) % 7] in hours.days and (day or local.time() < hours.opens))
    return datetime.combine(local.date() + timedelta(days=next(ahead)), hours.opens, tzinfo=zone).astimezone(at.tzinfo)


def _window_of(facts: ContactFacts, channel: str, rules: ContactRules) -> datetime | None:
    """The end of the time in which free text may be sent; None where any text may, or none is sent. Nobody wrote: long over."""
    if channel != "whatsapp" or facts.template_approved is not None:
        return None
    if facts.last_received_at is None:
        return datetime.min.replace(tzinfo=ZoneInfo("UTC"))
    return facts.last_received_at + rules.whatsapp_window


def _capped(facts: ContactFacts, now: datetime, zone: ZoneInfo, rules: ContactRules, channel: str) -> tuple[str | None, datetime]:
    """The first cap that is reached, and the time from which none is."""
    codes, times = [], [now]
    recent = sorted(sent for sent in facts.sent_this_week if sent > now - _WEEK)
    if len(recent) >= rules.weekly_cap:
        codes.append("weekly-cap")
        times.append(recent[-rules.weekly_cap] + _WEEK)
    today = now.astimezone(zone).date()
    if rules.of(channel).daily_cap is not None and facts.day_filled_by is not None and facts.day_filled_by.astimezone(zone).date() == today:
        codes.append("daily-cap")
        times.append(datetime.combine(today + timedelta(days=1), time(), tzinfo=zone).astimezone(now.tzinfo))
    return codes[0] if codes else None, max(times)
