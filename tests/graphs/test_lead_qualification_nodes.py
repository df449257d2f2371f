"""Each node as what it is: a function from the state to what it found out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.graphs import LeadFacts, Outcome
from orchestration.graphs.lead_qualification import prompts
from orchestration.graphs.lead_qualification.nodes import Tools, baseline_draft, baseline_score, decide, research, score, unsupported, write
from orchestration.graphs.lead_qualification.state import Brief, Score, State, proposal
from orchestration.graphs.models import Meter, Model
from spine.registry import Budget
from tests.graphs.world import BUDGET, DRAFTED, LEAD, SCORED, scripted

BRIEF = Brief(known=("The company is Cancity.",), missing=())


def tools(model: Model | None = None, budget: Budget = BUDGET) -> Tools:
    return Tools(model=model, meter=Meter(budget))


def scored(points: int, confidence: float = 0.9) -> State:
    return State(lead=LEAD, step=0, score=Score(points=points, confidence=confidence, reasons=(), by="baseline"))


def test_research_repeats_the_record_and_adds_nothing() -> None:
    update = research(State(lead=LEAD, step=0), tools())
    assert update["brief"].known == (
        "The company is Cancity.",
        "The product in question is GTX Plus Basic.",
        "The scoring puts the lead in band B.",
        "The estimated win probability is 0.66.",
        "bought GTX before",
    )
    assert "decision" not in update


@pytest.mark.parametrize("field", ["account", "product", "contact_id"])
def test_a_lead_without_company_product_or_person_goes_back_to_be_completed(field: str) -> None:
    decision = research(State(lead=LEAD.model_copy(update={field: " "}), step=0), tools())["decision"]
    assert (decision.outcome, decision.escalate_to) == (Outcome.ESCALATED, "sales_operations")
    assert field.removesuffix("_id") in decision.reasons[0]


@pytest.mark.parametrize(
    ("points", "confidence", "outcome", "to"),
    [
        (0, 0.9, Outcome.NOT_QUALIFIED, None),
        (19, 0.9, Outcome.NOT_QUALIFIED, None),
        (20, 0.9, Outcome.ESCALATED, "sales_manager"),
        (39, 0.9, Outcome.ESCALATED, "sales_manager"),
        (40, 0.9, Outcome.PROPOSED, None),
        (100, 0.4, Outcome.PROPOSED, None),
        (100, 0.39, Outcome.ESCALATED, "sales_manager"),
        (0, 0.39, Outcome.ESCALATED, "sales_manager"),
    ],
)
def test_what_happens_next_follows_from_the_score_by_a_table(points: int, confidence: float, outcome: Outcome, to: str | None) -> None:
    decision = decide(scored(points, confidence), tools())["decision"]
    assert (decision.outcome, decision.escalate_to) == (outcome, to)


def test_no_score_is_no_zero_and_no_hundred_but_an_escalation() -> None:
    assert decide(State(lead=LEAD, step=0), tools())["decision"].outcome is Outcome.ESCALATED


@given(st.floats(min_value=0, max_value=1))
def test_the_baseline_score_is_always_one_and_never_less_sure_than_a_coin(probability: float) -> None:
    result = baseline_score(LeadFacts(lead_id="L", score=probability))
    assert 0 <= result.points <= 100
    assert 0.5 <= result.confidence <= 1


def test_the_baseline_draft_is_honest_different_at_each_step_and_the_same_again() -> None:
    drafts = [baseline_draft(LEAD, step) for step in range(4)]
    assert len({d.subject for d in drafts}) == len({d.body for d in drafts}) == 4
    assert drafts == [baseline_draft(LEAD, step) for step in range(4)]
    for draft in drafts:
        assert "Cancity" in draft.body
        assert "GTX Plus Basic" in draft.body
        assert draft.body.endswith(prompts.UNSUBSCRIBE)
        assert unsupported(draft.body, "Cancity GTX Plus Basic") == []
        assert not set("{}[]<>") & set(draft.body)
    assert "last message" in drafts[3].body


@given(st.text(min_size=1, max_size=200).filter(str.strip), st.text(min_size=1, max_size=200).filter(str.strip), st.integers(0, 3))
def test_whatever_the_names_the_baseline_writes_a_draft(account: str, product: str, step: int) -> None:
    draft = baseline_draft(LeadFacts(lead_id="L", account=account, product=product, score=0.5), step)
    assert draft.subject.isprintable()  # a line break here would be a header of its own
    assert "\x00" not in draft.body


def test_a_models_subject_is_one_line_and_its_body_holds_no_control_characters() -> None:
    model, _ = scripted({"subject": "GTX\r\nBcc: everyone", "body": "Hello\x00,\n\nIs it?"})
    draft = write(State(lead=LEAD, step=0, brief=BRIEF), tools(model))["draft"]
    assert draft.subject == "GTX Bcc: everyone"
    assert draft.body.startswith("Hello ,\n\nIs it?")


def test_the_model_sees_the_record_as_data_and_no_person() -> None:
    model, chat = scripted(SCORED)
    update = score(State(lead=LEAD, step=0, brief=BRIEF), tools(model))
    assert update["score"].points == 72
    assert update["score"].by == "test:scripted"
    (messages,) = chat.calls
    asked = "\n".join(m.text for m in messages)
    assert "Cancity" in asked
    assert LEAD.contact_id not in asked
    assert update["spent"].tokens == 150
    assert update["spent"].cost == Decimal("0.002")


@pytest.mark.parametrize(
    "nonsense",
    [
        "I think it is a good lead!",
        "",
        "{}",
        "[]",
        "null",
        {"score": 101, "confidence": 0.5, "reasons": ["x"]},
        {"score": "72", "confidence": 0.5, "reasons": ["x"]},
        {"score": 72, "confidence": 0.5, "reasons": []},
        {"score": 72, "reasons": ["x"]},
        {"score": 72, "confidence": 0.5, "reasons": ["x"], "send": True},
    ],
)
def test_an_answer_that_is_no_score_escalates_and_is_paid_for(nonsense: dict[str, object] | str) -> None:
    model, _ = scripted(nonsense)
    update = score(State(lead=LEAD, step=0, brief=BRIEF), tools(model))
    assert "score" not in update
    assert update["decision"].outcome is Outcome.ESCALATED
    assert update["spent"].tokens == 150


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("See https://example.com", "a link"),
        ("See example.com", "a link"),
        ("Write to sales@acme.example", "an address"),
        ("You will save 30 percent", "a figure"),
        ("We guarantee results", "a promise"),
        ("word " * 301, "more than 300 words"),
    ],
)
def test_a_draft_that_says_what_the_record_does_not_goes_to_a_person(body: str, fault: str) -> None:
    model, _ = scripted({"subject": "GTX", "body": body})
    update = write(State(lead=LEAD, step=0, brief=BRIEF), tools(model))
    assert "draft" not in update
    assert update["decision"].escalate_to == "compliance_reviewer"
    assert any(fault in reason for reason in update["decision"].reasons)


def test_a_figure_that_is_on_record_may_be_named() -> None:
    assert unsupported("The GTK 500 for you", "product: GTK 500") == []


def test_a_models_draft_is_told_the_occasion_and_gets_the_way_out_added() -> None:
    model, chat = scripted(DRAFTED)
    update = write(State(lead=LEAD, step=3, brief=BRIEF), tools(model))
    assert update["draft"].body.endswith(prompts.UNSUBSCRIBE)
    assert "last message" in chat.calls[0][1].text


def test_a_spent_budget_asks_no_model_and_falls_back_to_the_baseline() -> None:
    model, chat = scripted()
    nothing = Budget(tokens=0, money=Decimal(0))
    update = score(State(lead=LEAD, step=0, brief=BRIEF), tools(model, nothing))
    assert update["score"].by == "baseline"
    assert any("does not fit" in reason for reason in update["score"].reasons)
    assert write(State(lead=LEAD, step=0, brief=BRIEF), tools(model, nothing))["draft"].by == "baseline"
    assert chat.calls == []


def test_a_state_that_stopped_half_way_amounts_to_no_proposal() -> None:
    for half in (State(lead=LEAD, step=0), State(lead=LEAD, step=0, decision=decide(scored(80), tools())["decision"])):
        answer = proposal(half)
        assert (answer.qualified, answer.outcome, answer.body) == (False, Outcome.ESCALATED, "")
