"""The four steps, as plain functions from the state to what they found out. Only `score` and `write` may ask a model."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from orchestration.graphs.lead_qualification import prompts
from orchestration.graphs.lead_qualification.prompts import DraftAnswer, ScoreAnswer
from orchestration.graphs.lead_qualification.state import Brief, Decision, Draft, LeadFacts, Outcome, Score, State
from orchestration.graphs.models import Meter, Model, Spent, UnparsableAnswer, ask
from spine.errors import BudgetExceeded

BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run brings along and no checkpoint keeps."""

    model: Model | None
    meter: Meter


class Update(TypedDict, total=False):
    brief: Brief
    score: Score
    decision: Decision
    draft: Draft
    spent: Spent


def research(state: State, _tools: Tools) -> Update:
    """What is on record, and what is not. Without a company, a product or a person the lead goes back to be completed."""
    lead = state.lead
    on_record = (
        (lead.account, f"The company is {lead.account}."),
        (lead.product, f"The product in question is {lead.product}."),
        (lead.band, f"The scoring puts the lead in band {lead.band}."),
    )
    known = [sentence for value, sentence in on_record if value.strip()]
    critical = {"account": lead.account, "product": lead.product, "contact": lead.contact_id}
    brief = Brief(
        known=(*known, f"The estimated win probability is {lead.score:.2f}.", *lead.reasons),
        missing=tuple(name for name, value in critical.items() if not value.strip()),
    )
    if brief.missing:
        why = f"not on record: {', '.join(brief.missing)}; complete the lead first"
        return {"brief": brief, "decision": Decision(outcome=Outcome.ESCALATED, reasons=(why,), escalate_to="sales_operations")}
    return {"brief": brief}


def score(state: State, tools: Tools) -> Update:
    """Points from 0 to 100. An answer that is not one goes to the sales manager: no default score, high or low."""
    if tools.model is None:
        return {"score": baseline_score(state.lead)}
    task = prompts.record(state.lead, _brief(state))
    try:
        answer = ask(tools.model, tools.meter, system=prompts.SCORE_SYSTEM, human=task, answer=ScoreAnswer, limits=prompts.SCORE_LIMITS)
    except BudgetExceeded as error:
        return {"score": baseline_score(state.lead, f"scored by the baseline: {error}"), "spent": tools.meter.spent}
    except UnparsableAnswer as error:
        return {"decision": _unanswered(error, tools.model), "spent": tools.meter.spent}
    scored = Score(points=answer.score, confidence=answer.confidence, reasons=tuple(answer.reasons), by=tools.model.name)
    return {"score": scored, "spent": tools.meter.spent}


def baseline_score(lead: LeadFacts, *notes: str) -> Score:
    """The data plane's calibrated probability, as points; sure as far as it is from a coin's toss."""
    points = round(lead.score * 100)
    why = f"win probability {lead.score:.2f}" + (f", band {lead.band}" if lead.band else "")
    return Score(points=points, confidence=max(lead.score, 1 - lead.score), reasons=(why, *lead.reasons, *notes), by=BASELINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    when: Callable[[Score], bool]
    outcome: Outcome
    why: str
    escalate_to: str | None = None


# The first that fits decides. The agent map's bands (40 to 60: a person looks) are for points that a person gave; ours are a win
# probability of leads that the data plane has let through already, so the doubtful zone lies lower.
RULES = (
    Rule(when=lambda s: s.confidence < 0.4, outcome=Outcome.ESCALATED, why="confidence under 0.4", escalate_to="sales_manager"),
    Rule(when=lambda s: s.points < 20, outcome=Outcome.NOT_QUALIFIED, why="under 20 points"),
    Rule(when=lambda s: s.points < 40, outcome=Outcome.ESCALATED, why="20 to 39 points: a person looks", escalate_to="sales_manager"),
    Rule(when=lambda s: s.points >= 90, outcome=Outcome.PROPOSED, why="90 points or more: worth a personal call too"),
    Rule(when=lambda _: True, outcome=Outcome.PROPOSED, why="40 points or more"),
)


def decide(state: State, _tools: Tools) -> Update:
    """Rules only: what happens next is not for a model to say."""
    if state.score is None:
        return {"decision": Decision(outcome=Outcome.ESCALATED, reasons=("there is no score",), escalate_to="sales_manager")}
    scored = state.score
    rule = next(rule for rule in RULES if rule.when(scored))
    return {"decision": Decision(outcome=rule.outcome, reasons=(rule.why,), escalate_to=rule.escalate_to)}


def write(state: State, tools: Tools) -> Update:
    """The draft. One that says what the record does not goes to a person instead of to the reader."""
    if tools.model is None:
        return {"draft": baseline_draft(state.lead, state.step)}
    task = prompts.writing_task(state, _brief(state))
    try:
        answer = ask(tools.model, tools.meter, system=prompts.WRITE_SYSTEM, human=task, answer=DraftAnswer, limits=prompts.WRITE_LIMITS)
    except BudgetExceeded:
        return {"draft": baseline_draft(state.lead, state.step), "spent": tools.meter.spent}
    except UnparsableAnswer as error:
        return {"decision": _unanswered(error, tools.model), "spent": tools.meter.spent}
    if faults := unsupported(f"{answer.subject}\n{answer.body}", task):
        refused = Decision(outcome=Outcome.ESCALATED, reasons=tuple(faults), escalate_to="compliance_reviewer", by=tools.model.name)
        return {"decision": refused, "spent": tools.meter.spent}
    draft = Draft(subject=_one_line(answer.subject), body=_signed_off(answer.body), by=tools.model.name)
    return {"draft": draft, "spent": tools.meter.spent}


def baseline_draft(lead: LeadFacts, step: int) -> Draft:
    """Message number `step` (0 the first, 1 to 3 the follow-ups), from the names alone, with the way out that every e-mail carries."""
    return Draft(subject=_one_line(prompts.baseline_subject(lead, step)), body=_signed_off(prompts.baseline_body(lead, step)), by=BASELINE)


_LINK = re.compile(r"https?://|www\.|\b[\w-]+\.(?:com|net|org|io|sa)\b", re.IGNORECASE)
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_PROMISE = re.compile(r"\b(?:guarantee[ds]?|free of charge|discount|refund|risk[- ]free)\b", re.IGNORECASE)


def unsupported(text: str, record: str) -> list[str]:
    """What `text` says that `record` cannot carry: links, addresses, figures, promises, too many words. Empty when fine.

    A net for the gross ones: an invented claim without a figure passes, and meets the approver.
    """
    found = {
        "a link": _LINK.search(text),
        "an address": "@" in text,
        "a figure that is not on record": set(_FIGURE.findall(text)) - set(_FIGURE.findall(record)),
        "a promise": _PROMISE.search(text),
        f"more than {prompts.MOST_WORDS} words": len(text.split()) > prompts.MOST_WORDS,
    }
    return [f"the draft holds {fault}" for fault, present in found.items() if present]


def _one_line(subject: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in subject).split())[:150] or "(no subject)"


def _signed_off(body: str) -> str:
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in body)
    return f"{text.strip()}\n\n{prompts.UNSUBSCRIBE}"


def _unanswered(error: UnparsableAnswer, model: Model) -> Decision:
    return Decision(outcome=Outcome.ESCALATED, reasons=(str(error),), escalate_to="sales_manager", by=model.name)


def _brief(state: State) -> Brief:
    return state.brief or Brief(known=(), missing=())
