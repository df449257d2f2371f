"""A journey in plain words: each step as a sentence, how long it took, and what it came from.

Functions from steps to what the page shows; nothing is looked up. Names (of people, actions, automations) stay as they are and are
set apart, so that a sentence in either direction keeps its order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spine.console.words import Words, say
from spine.journey import Journey, Step

_DEEPEST = 3  # further in, a telephone has no room left for the text

_FACTS: Mapping[str, str] = {
    "lead.qualified": say("A lead scored high enough to be worked on: %(subject)s"),
    "deal.won": say("A deal was won: %(subject)s"),
    "outreach.message_sent": say("The provider took the message to lead %(subject)s"),
    "outreach.replied": say("Lead %(subject)s answered"),
    "outreach.completed": say("The conversation with lead %(subject)s ended"),
    "signature.requested": say("The contract of deal %(subject)s is with the signers"),
    "signature.reported": say("The signing provider reported on deal %(subject)s"),
    "signature.completed": say("Both sides signed the contract of deal %(subject)s"),
    "signature.voided": say("The contract of deal %(subject)s was withdrawn"),
    "approval.requested": say("The waiting workflow was told that people are asked"),
    "approval.resolved": say("The waiting workflow was told how the approval ended"),
    "approval.sla_escalated": say("Nobody answered in time: the next level was told"),
    "effect.recorded": say("The ledger recorded how the effect ended"),
    "governance.policy_violation_detected": say("Something that is not allowed was noticed: %(subject)s"),
    "task.requested": say("Somebody asked for work on %(subject)s"),
    "dataset.published": say("Dataset %(subject)s was published"),
    "workflow.compensated": say("What had been done was undone, newest first"),
    "workflow.ended": say("Workflow %(subject)s is over"),
}

_DELIVERIES: Mapping[str, str] = {
    "started": say("It started workflow %(target)s"),
    "already known": say("It asked for %(target)s, which was there already: nothing was started twice"),
    "signalled": say("Workflow %(target)s was told"),
    "requested": say("Dagster was asked for run %(target)s"),
}

_EFFECTS: Mapping[str, str] = {
    "executing": say("%(plugin)s is being asked to do %(action)s"),
    "completed": say("%(plugin)s did %(action)s"),
    "failed": say("%(action)s did not happen: %(plugin)s refused or was stopped (%(error)s)"),
    "unknown": say("%(plugin)s gave no answer: %(action)s may have happened, and nothing is sent again before that is known"),
}

_VERDICTS: Mapping[str, str] = {
    "approve": say("%(who)s approved %(action)s"),
    "edit": say("%(who)s changed %(action)s, and the gate judged it again"),
    "reject": say("%(who)s rejected %(action)s: nothing of it will run"),
}

_AUDITED: Mapping[str, str] = {
    "approval.cancelled": say("The approval was withdrawn"),
    "approval.sla_escalated": say("Nobody had answered: the next level was told"),
    "effect.deferred": say("Not now: it waits until it is allowed (%(why)s)"),
    "effect.retried": say("Tried again, as attempt %(attempt)s: the provider is asked before anything is sent"),
    "effect.contradicted": say("The provider reports something else than was meant"),
    "kill_switch.engaged": say("%(who)s stopped it"),
    "kill_switch.released": say("%(who)s let it go on"),
    "event.dead_lettered": say("It was given up: a dead letter waits for a person"),
    "task.requested": say("%(who)s asked for the work"),
    "tenant.mismatch": say("Somebody named another company than their own"),
}

_MOVES: Mapping[str, str] = {
    "cancelled": say("%(who)s withdrew it before it began"),
    "expired": say("Nobody answered in time, so the answer is no"),
    "unknown": say("Nobody can say whether it happened"),
    "compensating": say("What it did is being undone"),
    "compensated": say("What it did was undone"),
    "compensation_failed": say("What it did could not be undone"),
}
# What the line says already, in the step that the row or the event bears witness to.
_TOLD_ELSEWHERE = frozenset(
    {
        *("intent.proposed", "intent.judged", "event.published", "task.requested", "approval.requested", "approval.decided"),
        *("approval.approved", "approval.edited", "approval.rejected", "approval.expired", "approval.consumed"),
    }
)
_ANNOUNCEMENTS = frozenset({"approval.requested", "approval.resolved", "effect.recorded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A step as the page shows it. `text` is translated, with names set apart; `after` is the time since the line above.

    `cause` is empty when there is none, and when it is the line above anyway.
    """

    step: Step
    text: str
    more: str
    kind: str
    tone: str
    depth: int
    after: str
    lasted: str
    cause: str
    is_new_day: bool


def told(found: Journey, words: Words, *, everything: bool) -> list[Line]:
    """The steps of a journey as lines, causes before what they caused. Without `everything`, what repeats another line is left out."""
    by_id = {step.step_id: step for step in found.steps}
    steps = [step for step in found.steps if everything or not repeats(step)]
    steps.sort(key=lambda step: (step.time, depth_of(step, by_id)))
    above = ""
    lines: list[Line] = []
    before: datetime | None = None
    for step in steps:
        lines.append(
            Line(
                step=step,
                text=sentence(step, words),
                more=_more(step, words),
                kind=step.kind,
                tone=tone(step),
                depth=min(depth_of(step, by_id), _DEEPEST),
                after="" if before is None else length(step.time - before, words),
                lasted=length(_lasted(step), words),
                cause="" if step.because_of == above else _cause(step, by_id, words),
                is_new_day=before is None or words.day(before) != words.day(step.time),
            )
        )
        before, above = step.time, step.step_id
    return lines


def length(lasted: timedelta | None, words: Words) -> str:
    """A duration in its two largest units, `1 hour 30 minutes`; nothing for what took less than a second."""
    left = int(lasted.total_seconds()) if lasted is not None else 0
    parts = []
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)):
        count, left = divmod(left, int(unit.total_seconds()))
        if count:
            parts.append(words.duration(unit * count))
        elif parts:
            break
    if len(parts) < 2:
        return "".join(parts)
    return words.of(say("%(larger)s %(smaller)s"), larger=parts[0], smaller=parts[1])


def sentence(step: Step, words: Words) -> str:
    """What happened, in one sentence of the reader's language. What has no sentence yet is said in the step's own words."""
    detail = step.detail
    given = {**detail, "who": step.who or ""}.items()
    names = {name: _said(value, words) for name, value in given if isinstance(value, str | int) and not isinstance(value, bool)}
    match step.kind:
        case "run":
            return words.of(say("A Dagster run published it"))
        case "event":
            known = _FACTS.get(str(detail.get("type")))
            return words.of(known, subject=apart(step.ids.get("subject", ""))) if known else step.what
        case "delivery" if step.state == "dead":
            return words.of(say("%(who)s gave it up"), **names)
        case "delivery" if step.state == "waiting":
            return words.of(say("%(who)s will try it again"), **names)
        case "delivery":
            known = _DELIVERIES.get(str(detail.get("outcome")))
            return words.of(known, target=names.get("target", "")) if known else step.what
        case "intent" if "compensates" in step.ids:
            return words.of(say("%(who)s proposed %(action)s, to undo an earlier effect"), **names)
        case "intent" if "supersedes" in step.ids:
            return words.of(say("The changed %(action)s took the place of the one before, as revision %(revision)s"), **names)
        case "intent":
            return words.of(say("%(who)s proposed %(action)s"), **names)
        case "approval":
            needed = int(str(detail.get("needed", 1)))
            asked = words.catalogue.ngettext(
                "%(num)s person was asked about %(action)s", "%(num)s people were asked about %(action)s", needed
            )
            return asked % {**names, "num": words.number(needed)}
        case "decision":
            return _decided(step, words, names)
        case "effect":
            known = _EFFECTS.get(step.state or "")
            names.setdefault("error", apart(str(detail.get("error_code", "?"))))
            return words.of(known, **names) if known else step.what
        case "audit":
            return _audited(step, words, names)
    return step.what


def _decided(step: Step, words: Words, names: Mapping[str, str]) -> str:
    said = words.of(_VERDICTS[str(step.detail["verdict"])], **names)
    remaining = int(str(step.detail.get("remaining", 0)))
    if step.detail["verdict"] != "approve":
        return said
    if remaining == 0:
        return said + words.of(say("; it may run"))
    more = words.catalogue.ngettext("; %(num)s more person must sign", "; %(num)s more people must sign", remaining)
    return said + more % {"num": words.number(remaining)}


def _audited(step: Step, words: Words, names: Mapping[str, str]) -> str:
    action = str(step.detail.get("audited", ""))
    known = _MOVES.get(str(step.detail.get("to"))) if action == "intent.moved" else _AUDITED.get(action)
    try:
        return words.of(known, **names) if known else step.what
    except KeyError:  # a row written before its detail had that name
        return step.what


def repeats(step: Step) -> bool:
    """Does another line say the same? Audit rows bear witness to what was done, and some events tell a workflow of it."""
    if step.kind == "event":
        return step.detail.get("type") in _ANNOUNCEMENTS
    if step.kind != "audit" or step.detail.get("severity", "V0") != "V0":
        return False
    action = str(step.detail.get("audited"))
    return action in _TOLD_ELSEWHERE or (action == "intent.moved" and step.detail.get("to") not in _MOVES)


def tone(step: Step) -> str:
    """How a line is coloured: good, bad, warn, calm or nothing. Never the only sign: each has its word."""
    if step.kind == "decision":
        return {"approve": "good", "reject": "bad"}.get(str(step.detail.get("verdict")), "calm")
    if step.kind == "audit":
        return {"V1": "warn", "V2": "bad", "V3": "bad"}.get(str(step.detail.get("severity")), "")
    if step.kind == "effect" and step.detail.get("as_intended") is False:
        return "bad"
    if step.kind == "event":
        return tone_of_ending(step.state)
    return tone_of_state(step.state) if step.kind in ("intent", "approval", "effect", "delivery") else ""


_TONES: Mapping[str, Iterable[str]] = {
    "good": ("completed", "approved", "consumed", "delivered", "compensated", "retried", "edited", "ok"),
    "bad": ("failed", "denied", "rejected", "expired", "dead", "compensation_failed", "exhausted"),
    "warn": ("unknown", "waiting", "open", "executing", "compensating", "throttle", "warn"),
    "calm": ("awaiting_approval", "pending", "runnable", "proposed"),
}


_ENDING_TONES: Mapping[str, str] = {"signed": "good", "replied": "good", "declined": "bad", "exhausted": ""}


def tone_of_state(state: str | None) -> str:
    return next((name for name, states in _TONES.items() if state in states), "") if state else ""


def tone_of_ending(outcome: str | None) -> str:
    """A commitment's outcome is an automation's word first, and a record's state where the platform ended it."""
    return _ENDING_TONES.get(outcome or "", tone_of_state(outcome))


def depth_of(step: Step, by_id: Mapping[str, Step]) -> int:
    """How many causes stand between this step and the first one. A circle ends itself."""
    depth, seen, cause = 0, {step.step_id}, by_id.get(step.because_of or "")
    while cause is not None and cause.step_id not in seen:
        seen.add(cause.step_id)
        depth, cause = depth + 1, by_id.get(cause.because_of or "")
    return depth


def _cause(step: Step, by_id: Mapping[str, Step], words: Words) -> str:
    """The cause in words. A run is none: its event says so by standing under it."""
    cause = by_id.get(step.because_of or "")
    return "" if cause is None or cause.kind == "run" else sentence(cause, words)


def _lasted(step: Step) -> timedelta | None:
    if step.until is not None:
        return step.until - step.time
    seconds = step.detail.get("lasted_seconds")
    return timedelta(seconds=float(seconds)) if isinstance(seconds, int | float) else None


def _more(step: Step, words: Words) -> str:
    """The second line: what people said, how it was found out. In the words of whoever wrote it."""
    detail: Mapping[str, Any] = step.detail
    if step.kind == "decision":
        return str(detail.get("reason") or "")
    if step.kind == "effect":
        parts = []
        if detail.get("reconciled"):
            parts.append(words.of(say("The answer was lost; the provider was asked and said so.")))
        if detail.get("as_intended") is False:
            parts.append(words.of(say("What the provider reports differs from what was meant.")))
        return " ".join(parts)
    if step.kind == "delivery" and step.state != "delivered":
        return str(detail.get("detail") or "")
    if step.kind in ("audit", "event"):
        return str(detail.get("why") or "")
    return ""


def _said(value: str | int, words: Words) -> str:
    return apart(value) if isinstance(value, str) else words.number(value)


def apart(text: object) -> str:
    """A name inside a sentence, with a Unicode isolate around it: its direction is its own (UAX #9)."""
    return f"\u2068{text}\u2069"
