"""What will happen, in plain words: a sentence for an action and its payload, names for fields, classes and reasons.

A sentence names whom it reaches by reference and account, never by address. An action without a sentence of its own is named by what
the policy table calls it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spine.console.words import Words, say
from spine.db import Connection

# action → (with its payload, for those who may see it; without)
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "send_email": (say("Send an e-mail to %(contact)s: “%(subject)s”"), say("Send an e-mail")),
    "outreach_send": (say("Send a first message to %(contact)s"), say("Send a first message")),
    "followup_send": (say("Send a follow-up to %(contact)s"), say("Send a follow-up")),
    "send_whatsapp": (say("Send a WhatsApp message to %(contact)s"), say("Send a WhatsApp message")),
    "send_linkedin": (say("Send a LinkedIn message to %(contact)s"), say("Send a LinkedIn message")),
    "trigger_voice_call": (say("Call %(contact)s"), say("Make a telephone call")),
    "notify_owner": (say("Tell the automation's owner: “%(subject)s”"), say("Tell the automation's owner")),
    "send_contract_for_signature": (
        say("Send %(account)s a contract over %(money)s to be signed"),
        say("Send a contract to be signed"),
    ),
    "void_envelope": (say("Withdraw the contract of deal %(deal_id)s before it is signed"), say("Withdraw a contract before it is signed")),
    "crm_deal_update": (say("Change deal %(deal_id)s in the CRM"), say("Change a deal in the CRM")),
    "crm_deal_create": (say("Make a deal in the CRM"), say("Make a deal in the CRM")),
    "crm_contact_upsert": (say("Write %(contact)s into the CRM"), say("Write a contact into the CRM")),
    "start_automation": (say("Start the automation %(automation)s"), say("Start an automation")),
    "proposal_send": (say("Send %(account)s a proposal"), say("Send a proposal")),
    "scope_send": (say("Send %(account)s the scope of work"), say("Send the scope of work")),
    "invoice_send": (say("Send %(account)s an invoice over %(money)s"), say("Send an invoice")),
    "nda_send": (say("Send %(account)s a non-disclosure agreement"), say("Send a non-disclosure agreement")),
    "discount_grant": (say("Grant a discount"), say("Grant a discount")),
    "refund_issue": (say("Pay back %(money)s"), say("Pay money back")),
    "create_charge": (say("Charge %(money)s"), say("Charge money")),
    "commission_payout": (say("Pay out a commission of %(money)s"), say("Pay out a commission")),
    "affiliate_payout": (say("Pay an affiliate %(money)s"), say("Pay an affiliate")),
    "budget_commit": (say("Commit %(money)s of the budget"), say("Commit a budget")),
    "content_publish": (say("Publish content"), say("Publish content")),
    "publish_content": (say("Publish content"), say("Publish content")),
    "case_study_publish": (say("Publish a case study"), say("Publish a case study")),
    "partner_activate": (say("Activate a partner"), say("Activate a partner")),
    "booking_schedule": (say("Book a meeting with %(contact)s"), say("Book a meeting")),
    "bulk_send": (say("Send a message to many people"), say("Send a message to many people")),
    "pricing_change": (say("Change prices"), say("Change prices")),
    "production_deploy": (say("Deploy to production"), say("Deploy to production")),
    "policy_change": (say("Change the policy"), say("Change the policy")),
    "ma_offer": (say("Make an offer for a company"), say("Make an offer for a company")),
    "ma_sign": (say("Sign the purchase of a company"), say("Sign the purchase of a company")),
}
_OTHER = say("Carry out “%(action)s”")

_FIELDS: Mapping[str, str] = {
    "contact_id": say("Contact"),
    "account": say("Account"),
    "subject": say("Subject"),
    "body": say("Message"),
    "text": say("Text"),
    "deal_id": say("Deal"),
    "product": say("Product"),
    "amount": say("Amount"),
    "currency": say("Currency"),
    "terms": say("Terms"),
    "envelope_id": say("Envelope"),
    "reason": say("Reason"),
    "fields": say("Fields"),
    "automation": say("Automation"),
    "key": say("Key"),
    "input": say("Input"),
}

CLASSES: Mapping[str, str] = {
    "A": say("Class A: runs by itself."),
    "B": say("Class B: a person is asked."),
    "C": say("Class C: forbidden."),
    "A0": say("A0: nobody has to agree."),
    "A1": say("A1: one person has to agree."),
    "A2": say("A2: two people have to agree."),
    "A3": say("A3: two people have to agree; the gravest kind."),
    "R0": say("R0: undone without a trace."),
    "R1": say("R1: can be undone."),
    "R2": say("R2: costly to undo."),
    "R3": say("R3: cannot be undone."),
    "S0": say("S0: public data."),
    "S1": say("S1: internal data."),
    "S2": say("S2: confidential data."),
    "S3": say("S3: personal or restricted data."),
}
TONES: Mapping[str, str] = {"A2": "warn", "A3": "bad", "R2": "warn", "R3": "bad", "S3": "warn", "C": "bad"}

_REASONS: Mapping[str, str] = {
    "class-b": say("This kind of action always waits for a person."),
    "approval-class": say("Its approval class asks for so many people."),
    "irreversible": say("It cannot be undone."),
    "costly-to-undo": say("It is costly to undo."),
    "never-automatic": say("This action never runs by itself."),
    "no-lawful-basis": say("It uses restricted data, and no lawful basis is on record."),
    "low-confidence": say("The confidence is low, and much is at stake."),
    "outside-canary": say("The company is outside the group that runs this by itself."),
    "unknown-action": say("The policy table does not know this action."),
    "not-an-undo": say("It runs by itself only to undo something that was done."),
    "amount": say("The amount is above a threshold."),
    "ratio": say("The share is above a threshold."),
}

_SAID_WHOLLY = frozenset({"class-b", "approval-class", "irreversible", "costly-to-undo", "never-automatic"})

_HISTORY: Mapping[str, str] = {
    "intent.proposed": say("proposed"),
    "intent.judged": say("judged by the gate"),
    "intent.moved": say("changed its state"),
    "approval.requested": say("people were asked"),
    "approval.decided": say("decided"),
    "approval.approved": say("approved"),
    "approval.rejected": say("rejected"),
    "approval.edited": say("changed"),
    "approval.expired": say("ran out"),
    "approval.cancelled": say("withdrawn"),
    "approval.consumed": say("used by the effect"),
    "approval.sla_escalated": say("reminded or escalated"),
}


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of contacts, by contact id: a person is shown as a reference and where they work."""

    by_contact: Mapping[str, str]

    @classmethod
    def of(cls, conn: Connection, tenant_id: str, payloads: list[Mapping[str, Any]]) -> "Accounts":
        ids = sorted({one for payload in payloads if isinstance(one := payload.get("contact_id"), str)})
        if not ids:
            return cls({})
        found = conn.execute("select contact_id, account from contacts where tenant_id = %s and contact_id = any(%s)", (tenant_id, ids))
        return cls({row["contact_id"]: row["account"] for row in found})

    def contact(self, words: Words, contact_id: str) -> str:
        account = self.by_contact.get(contact_id)
        return words.of(say("%(contact)s of %(account)s"), contact=contact_id, account=account) if account else contact_id


def sentence(words: Words, action: str, payload: Mapping[str, Any] | None, accounts: Accounts, money: str = "") -> str:
    """What will happen. Without a payload, or with one that lacks what the sentence needs, the shorter one."""
    if action not in _SENTENCES:
        return words.of(_OTHER, action=action.replace("_", " "))
    whole, short = _SENTENCES[action]
    given = {name: value for name, value in (payload or {}).items() if isinstance(value, str) and value}
    if contact_id := given.get("contact_id"):
        given["contact"] = accounts.contact(words, contact_id)
    if money:
        given["money"] = money
    try:
        return words.of(whole, **given) if given else words.of(short)
    except KeyError:
        return words.of(short)


def field_name(words: Words, path: tuple[str, ...]) -> str:
    """A field's name as people say it, with where it is when it lies deeper."""
    shown = [words.of(_FIELDS[part]) if part in _FIELDS else part.replace("_", " ") for part in path]
    return " › ".join([shown[0][:1].upper() + shown[0][1:], *shown[1:]])


def reason(words: Words, code: str, text: str) -> str:
    """Why people are asked: the code's own words, or the gate's text for a code that has none."""
    return words.of(_REASONS[code]) if code in _REASONS else text


def note(code: str, text: str) -> str:
    """What the gate's own text adds to the words of a code: the figures and names in it, where it has any."""
    return "" if code in _SAID_WHOLLY or code not in _REASONS else text


def happened(words: Words, action: str) -> str:
    """An audit row's action, as the history of a request tells it."""
    return words.of(_HISTORY[action]) if action in _HISTORY else action
