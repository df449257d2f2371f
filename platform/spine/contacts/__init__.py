"""People outside, and whether they may be written to, now.

Addresses live in the table `contacts` and nowhere else; everything else says `contact_id`. `judge_contact` is the rule, a pure
function; `contact_facts` reads what it needs to know; the rest keeps the record: consents and opt-outs, what people wrote to us,
what bounced or was complained about, and the templates that WhatsApp has approved. See `rules` for the sources.
"""

from spine.contacts.channels import (
    ChannelStanding,
    approve_template,
    channel_standings,
    hear,
    message_received,
    message_reported,
    resume_channel,
    withdraw_template,
)
from spine.contacts.facts import contact_facts
from spine.contacts.records import (
    KnownContact,
    address_of,
    contact_address,
    known_contacts,
    opt_out,
    phone_number,
    record_consent,
    upsert_contact,
)
from spine.contacts.rules import (
    CHANNELS,
    PURPOSES,
    ChannelRules,
    Contactable,
    ContactFacts,
    ContactRules,
    Hours,
    NotContactable,
    end_of_quiet_hours,
    is_halted,
    judge_contact,
    opening,
)

__all__ = [
    "CHANNELS",
    "PURPOSES",
    "ChannelRules",
    "ChannelStanding",
    "ContactFacts",
    "ContactRules",
    "Contactable",
    "Hours",
    "KnownContact",
    "NotContactable",
    "address_of",
    "approve_template",
    "channel_standings",
    "contact_address",
    "contact_facts",
    "end_of_quiet_hours",
    "hear",
    "is_halted",
    "judge_contact",
    "known_contacts",
    "message_received",
    "message_reported",
    "opening",
    "opt_out",
    "phone_number",
    "record_consent",
    "resume_channel",
    "upsert_contact",
    "withdraw_template",
]
