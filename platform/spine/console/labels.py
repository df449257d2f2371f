"""What the records' own words are called on a page. A word without a label is shown as it is written."""

from collections.abc import Mapping

from spine.console.story import tone_of_ending, tone_of_state
from spine.console.words import say

STATES: Mapping[str, str] = {
    "proposed": say("proposed"),
    "awaiting_approval": say("waits for approval"),
    "runnable": say("may run"),
    "executing": say("under way"),
    "unknown": say("unknown"),
    "completed": say("done"),
    "failed": say("failed"),
    "denied": say("denied"),
    "rejected": say("rejected"),
    "expired": say("expired"),
    "superseded": say("replaced"),
    "cancelled": say("withdrawn"),
    "compensating": say("being undone"),
    "compensated": say("undone"),
    "compensation_failed": say("could not be undone"),
    "pending": say("waits"),
    "approved": say("approved"),
    "consumed": say("approved and used"),
    "edited": say("changed"),
    "open": say("open"),
    "retried": say("tried again"),
    "discarded": say("given up"),
    "delivered": say("delivered"),
    "waiting": say("will be tried again"),
    "dead": say("dead"),
}
# How a commitment ended; what is not here is called as the state of the same name.
ENDINGS: Mapping[str, str] = {
    "cancelled": say("cancelled"),
    "signed": say("signed"),
    "declined": say("signing was declined"),
    "replied": say("answered"),
    "exhausted": say("no answer came"),
    "disqualified": say("not qualified"),
    "not_contactable": say("may not be contacted"),
}
# What a state means for whoever has to decide something about it.
MEANINGS: Mapping[str, str] = {
    "unknown": say("It may have happened. Nothing is sent again before the provider has been asked."),
    "runnable": say("Permission is given; it has not begun."),
    "superseded": say("It was changed: a newer revision took over."),
    "compensation_failed": say("What it did is still there. A person has to undo it."),
    "denied": say("The gate said no."),
}
PLANES: Mapping[str, str] = {
    "event": say("event"),
    "delivery": say("webhook out"),
    "activity": say("workflow step"),
    "graph": say("graph"),
    "webhook": say("webhook in"),
    "data_job": say("data job"),
}
KINDS: Mapping[str, str] = {
    "run": say("data"),
    "event": say("fact"),
    "delivery": say("dispatch"),
    "spending": say("spending"),
    "intent": say("intent"),
    "approval": say("approval"),
    "decision": say("decision"),
    "effect": say("effect"),
    "audit": say("audit"),
}
ROLES: Mapping[str, str] = {"viewer": say("viewer"), "operator": say("operator"), "approver": say("approver"), "admin": say("admin")}
SEVERITIES: Mapping[str, str] = {"V0": say("ordinary"), "V1": say("notice"), "V2": say("serious"), "V3": say("grave")}
LEVELS: Mapping[str, str] = {
    "ok": say("within the limit"),
    "warn": say("most is gone"),
    "throttle": say("nearly gone: slowed down"),
    "exhausted": say("nothing left: stopped"),
}
SCOPES: Mapping[str, str] = {
    "tenant": say("everything"),
    "automation": say("automation"),
    "action": say("action"),
    "plugin": say("connector"),
}
HORIZONS: Mapping[str, str] = {"short": say("short"), "medium": say("medium"), "long": say("long")}
TRACKS: Mapping[str, str] = {
    "revenue": say("revenue"),
    "partnership": say("partnership"),
    "corporate_development": say("corporate development"),
    "expansion": say("expansion"),
    "integration": say("integration"),
    "trust": say("trust"),
    "data": say("data"),
}
FOUND_BY: Mapping[str, str] = {
    "correlation": say("correlation id"),
    "subject": say("what it is about"),
    "event": say("event"),
    "intent": say("intent"),
    "approval": say("approval"),
    "workflow": say("workflow"),
}


def tone(state: str) -> str:
    return tone_of_state(state)


def ending_tone(outcome: str) -> str:
    return tone_of_ending(outcome)
