"""`spine contacts received | bounce | complaint | channels | resume | template`: what came back, and how a channel stands."""

from typing import Annotated, Literal

import typer

from spine import audit, contacts
from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, say, traced
from spine.contacts import CHANNELS
from spine.errors import Conflict
from spine.identity import Role
from spine.policy import PolicyTable
from spine.views import View

app = typer.Typer(add_completion=False)

ContactId = Annotated[str, typer.Option("--id", help="The contact's reference, such as contact/globex.")]
Channel = Annotated[str, typer.Option(help=f"One of {', '.join(CHANNELS)}.")]
Message = Annotated[str, typer.Option(help="The message, by its provider's id: the same one told again counts once.")]

_SAID = {"approve": "template.approved", "withdraw": "template.withdrawn"}


class ChannelView(View):
    channel: str
    sent: int
    bounces: int
    complaints: int
    halted: bool


@app.command()
def received(contact_id: ContactId, message: Message, channel: Channel = "whatsapp") -> None:
    """Record that a contact wrote to us, now: on WhatsApp that opens 24 hours of free text."""
    with acting(Role.OPERATOR) as person, traced("contacts received"), person.transaction() as conn:
        tenant_id, now = person.principal.tenant_id, person.clock.now()
        new = contacts.message_received(
            conn, tenant_id=tenant_id, contact_id=contact_id, channel=channel, message_ref=message, at=now
        )  # fmt: skip
        audit.record(
            conn, tenant_id=tenant_id, actor=_by(person), action="contact.wrote", subject_type="contact", subject_id=contact_id, now=now,
            detail={"channel": channel, "new": new},
        )  # fmt: skip
    say(f"{contact_id} wrote on {channel}" if new else f"message {message!r} is on record already")


@app.command()
def bounce(contact_id: ContactId, message: Message, channel: Channel = "email") -> None:
    """Record that a message came back. Above 5 % the channel is halted."""
    _report("bounce", contact_id, message, channel)


@app.command()
def complaint(contact_id: ContactId, message: Message, channel: Channel = "email") -> None:
    """Record that somebody complained: it is opted out of the channel, at once and for good. Above 0.1 % the channel is halted."""
    _report("complaint", contact_id, message, channel)


@app.command()
def channels(as_json: Json = False) -> None:
    """Show how each channel stands: what was sent, came back and was complained about in the last 30 days, or since it was resumed."""
    with acting() as person:
        with person.transaction() as conn:
            rules = PolicyTable.load(zone=person.settings.timezone).contact
            found = contacts.channel_standings(conn, tenant_id=person.principal.tenant_id, now=person.clock.now(), rules=rules)
        if as_json:
            print_json(ChannelView(**{name: getattr(one, name) for name in ChannelView.model_fields}) for one in found)
            return
        rows = ((c.channel, c.sent, c.bounces, c.complaints, "halted" if c.halted else "open", person.local(c.since)) for c in found)
        print_table(("channel", "sent", "bounced", "complained", "state", "since"), rows, empty="no channels")


@app.command()
def resume(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    reason: Annotated[str, typer.Option(help="What was done about the bounces or complaints, for the record.")],
) -> None:
    """Send on a halted channel again; its count begins anew. Takes an approver's key."""
    with acting(Role.APPROVER) as person, traced("contacts resume"), person.transaction() as conn:
        tenant_id, now = person.principal.tenant_id, person.clock.now()
        contacts.resume_channel(conn, tenant_id=tenant_id, channel=channel, actor=_by(person), reason=reason, now=now)
        audit.record(
            conn, tenant_id=tenant_id, actor=_by(person), action="channel.resumed", subject_type="channel", subject_id=channel, now=now,
            detail={"why": reason},
        )  # fmt: skip
    say(f"{channel} sends again")


@app.command()
def template(
    verdict: Annotated[Literal["approve", "withdraw"], typer.Argument(metavar="approve|withdraw")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    channel: Channel = "whatsapp",
) -> None:
    """Record that the provider approved a template, which may be sent outside the 24 hours, or withdrew it. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("contacts template"), person.transaction() as conn:
        tenant_id, now = person.principal.tenant_id, person.clock.now()
        change = contacts.approve_template if verdict == "approve" else contacts.withdraw_template
        change(conn, tenant_id=tenant_id, channel=channel, name=name, now=now)
        audit.record(
            conn, tenant_id=tenant_id, actor=_by(person), action=_SAID[verdict], subject_type="template",
            subject_id=name, now=now, detail={"channel": channel},
        )  # fmt: skip
    say(f"template {name!r} may be sent on {channel}" if verdict == "approve" else f"template {name!r} is not sent on {channel} any more")


def _report(kind: Literal["bounce", "complaint"], contact_id: str, message: str, channel: str) -> None:
    with acting(Role.OPERATOR) as person, traced(f"contacts {kind}"), person.transaction() as conn:
        tenant_id, now = person.principal.tenant_id, person.clock.now()
        new = contacts.message_reported(
            conn, tenant_id=tenant_id, contact_id=contact_id, channel=channel, kind=kind, message_ref=message, at=now, actor=_by(person)
        )  # fmt: skip
        if not new:
            raise Conflict(f"message {message!r} is on record with a {kind} already: it counts once")
        audit.record(
            conn, tenant_id=tenant_id, actor=_by(person), action="message.reported", subject_type="contact", subject_id=contact_id, now=now,
            detail={"channel": channel, "kind": kind},
        )  # fmt: skip
    say(f"a {kind} of a message to {contact_id} on {channel} is on record: `spine contacts channels` shows how it stands")


def _by(person: Acting) -> Actor:
    return Actor(person.principal.actor_type, person.principal.id)
