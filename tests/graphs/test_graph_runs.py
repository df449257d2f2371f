"""The compiled graph: what it answers, how it is bounded, and what it remembers."""

import dataclasses
import threading
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import psycopg_pool
import pytest
from langgraph.graph import START, StateGraph
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, SecretStr

from orchestration.graphs import GraphRunner, Outcome
from orchestration.graphs.lead_qualification.graph import SPEC
from orchestration.graphs.runner import GraphSpec, GraphTimedOut
from shared.events import SideEffectClass
from spine.errors import IdempotencyConflict, InvalidInput, Misconfigured, ProviderUnavailable
from spine.registry import Budget
from spine.settings import Settings
from spine.storage import Checkpointer
from spine.telemetry import setup_telemetry, span
from tests.graphs.world import BUDGET, DRAFTED, LEAD, SCORED, memory, qualify, scripted


def test_without_a_model_the_baseline_proposes_and_says_so() -> None:
    proposal = qualify()
    assert proposal.outcome is Outcome.PROPOSED
    assert proposal.qualified
    assert (proposal.used, proposal.tokens, proposal.cost) == ("baseline", 0, Decimal(0))
    assert proposal == qualify()


def test_with_a_model_its_judgement_and_its_words_are_used_and_counted() -> None:
    model, chat = scripted(SCORED, DRAFTED)
    proposal = qualify(model)
    assert (proposal.score, proposal.confidence, proposal.subject, proposal.used) == (72, 0.8, "GTX Plus Basic", "test:scripted")
    assert (proposal.tokens, len(chat.calls)) == (300, 2)


@pytest.mark.parametrize("script", [("nonsense",), (SCORED, "nonsense")])
def test_an_unparsable_answer_at_any_step_ends_in_an_escalation_without_a_draft(script: tuple[Any, ...]) -> None:
    model, _ = scripted(*script)
    proposal = qualify(model)
    assert (proposal.outcome, proposal.qualified, proposal.escalate_to) == (Outcome.ESCALATED, False, "sales_manager")
    assert (proposal.subject, proposal.body) == ("", "")
    assert proposal.used == "test:scripted"


def test_a_lead_that_is_not_worth_it_gets_no_draft_and_costs_no_second_call() -> None:
    model, chat = scripted({"score": 5, "confidence": 0.9, "reasons": ["no need"]})
    proposal = qualify(model)
    assert (proposal.outcome, proposal.body, len(chat.calls)) == (Outcome.NOT_QUALIFIED, "", 1)


def test_the_budget_stops_in_the_middle_and_the_baseline_finishes() -> None:
    model, chat = scripted(SCORED, input_tokens=29_000)
    proposal = qualify(model, budget=Budget(tokens=30_000, money=Decimal("0.50")))
    assert proposal.outcome is Outcome.PROPOSED
    assert proposal.used == "test:scripted+baseline"
    assert (proposal.tokens, len(chat.calls)) == (29_050, 1)


def test_the_same_step_again_gets_the_same_answer_without_asking_again() -> None:
    model, chat = scripted(SCORED, DRAFTED)
    runner = GraphRunner(Settings(), memory(), model, budget=BUDGET)
    assert qualify(runner=runner) == qualify(runner=runner)
    assert len(chat.calls) == 2


def test_the_same_step_with_other_facts_is_refused() -> None:
    runner = GraphRunner(Settings(), memory())
    qualify(runner=runner)
    with pytest.raises(IdempotencyConflict, match="another lead"):
        qualify(runner=runner, lead=LEAD.model_copy(update={"product": "GTX Pro"}))


@pytest.mark.parametrize("step", [-1, 4])
def test_there_are_three_follow_ups_and_no_fourth(step: int) -> None:
    with pytest.raises(InvalidInput, match="last follow-up"):
        qualify(step=step)


def test_a_failed_call_is_retried_from_where_it_failed() -> None:
    model, chat = scripted(SCORED, ConnectionError("gone"), DRAFTED)
    runner = GraphRunner(Settings(), memory(), model, budget=BUDGET)
    with pytest.raises(ProviderUnavailable):
        qualify(runner=runner)
    proposal = qualify(runner=runner)
    assert proposal.used == "test:scripted"
    assert len(chat.calls) == 3
    assert proposal.tokens == 300


def test_postgres_checkpoints_give_back_what_was_put_in(checkpoints_url: str) -> None:
    with Checkpointer(checkpoints_url) as checkpointer:
        model, chat = scripted(SCORED, ConnectionError("gone"), DRAFTED)
        runner = GraphRunner(Settings(), checkpointer.saver, model, budget=BUDGET)
        with pytest.raises(ProviderUnavailable):
            qualify(runner=runner)
        proposal = qualify(runner=runner)
        assert proposal == qualify(runner=runner)
        assert (proposal.cost, len(chat.calls)) == (Decimal("0.004"), 3)
    with psycopg.connect(checkpoints_url) as connection:
        threads = connection.execute("select distinct thread_id from checkpoints").fetchall()
    assert threads == [("demo/demo/outreach-sequence/1C1I7A6R/lead-qualification-0",)]


def test_a_worker_makes_its_runner_from_settings_and_closes_it(checkpoints_url: str) -> None:
    runner = GraphRunner.from_settings(Settings(langgraph_database_url=SecretStr(checkpoints_url)))
    assert qualify(runner=runner).outcome is Outcome.PROPOSED
    runner.close()
    with pytest.raises(psycopg_pool.PoolClosed):
        qualify(runner=runner)
    with pytest.raises(Misconfigured, match="SPINE_LANGGRAPH_DATABASE_URL"):
        GraphRunner.from_settings(Settings())


def test_no_personal_data_is_checkpointed(checkpoints_url: str) -> None:
    with pytest.raises(ValueError, match="contact_id"):
        LEAD.model_validate({**LEAD.model_dump(), "contact_id": "sara@cancity.example"})
    with Checkpointer(checkpoints_url) as checkpointer:
        qualify(runner=GraphRunner(Settings(), checkpointer.saver))
    with psycopg.connect(checkpoints_url) as connection:
        blobs = connection.execute("select blob from checkpoint_blobs where blob is not null").fetchall()
    assert blobs
    assert not [blob for (blob,) in blobs if b"@" in blob]


def test_another_version_of_the_graph_begins_the_step_again() -> None:
    runner = GraphRunner(Settings(), memory())
    run: dict[str, Any] = {"thread": "demo/w/0", "initial": SPEC.state(lead=LEAD, step=0), "heartbeat": lambda: None}
    visited: list[str] = []

    def tools(state: Any) -> Any:
        from orchestration.graphs.lead_qualification.nodes import Tools
        from orchestration.graphs.models import Meter

        visited.append("run")
        return Tools(model=None, meter=Meter(BUDGET, state.spent))

    for version in ("1", "1", "2"):
        runner.run(dataclasses.replace(SPEC, version=version), tools=tools, **run)
    assert len(visited) == 2


class Loop(BaseModel):
    turns: int = 0


def looping(*, durability: Any = "exit", leads_to: SideEffectClass = SideEffectClass.NONE, limit: int = 5, **more: Any) -> GraphSpec[Loop]:
    def build(checkpointer: Any) -> Any:
        def turn(state: Loop) -> dict[str, int]:
            time.sleep(0.02)
            return {"turns": state.turns + 1}

        return StateGraph(Loop).add_node("turn", turn).add_edge(START, "turn").add_edge("turn", "turn").compile(checkpointer=checkpointer)

    values: dict[str, Any] = {"deadline": timedelta(seconds=30), **more}
    return GraphSpec(
        name="loop",
        version="1",
        durability=durability,
        leads_to=leads_to,
        recursion_limit=limit,
        state=Loop,
        checkpointed=(),
        build=build,
        **values,
    )


def run_loop(spec: GraphSpec[Loop], heartbeat: Any = lambda: None, every: timedelta = timedelta(seconds=5)) -> Loop:
    runner = GraphRunner(Settings(), memory(), heartbeat_every=every)
    return runner.run(spec, thread="demo/loop/0", initial=Loop(turns=0), tools=lambda _: None, heartbeat=heartbeat)


def test_a_graph_that_loops_is_stopped_by_its_declared_limit_and_not_retried() -> None:
    with pytest.raises(Misconfigured, match="more than its 5 steps") as raised:
        run_loop(looping())
    assert not raised.value.retryable


def test_a_graph_that_takes_too_long_is_stopped_between_nodes() -> None:
    with pytest.raises(GraphTimedOut) as raised:
        run_loop(looping(limit=100, deadline=timedelta(milliseconds=50)))
    assert raised.value.retryable


def test_a_path_to_a_message_demands_that_nothing_finished_is_lost() -> None:
    for durability in ("exit", "async"):
        with pytest.raises(Misconfigured, match="durability is 'sync'"):
            run_loop(looping(durability=durability, leads_to=SideEffectClass.EXTERNAL_MESSAGE))
    with pytest.raises(Misconfigured, match="recursion_limit"):
        run_loop(looping(limit=0))
    with pytest.raises(Misconfigured, match="deadline"):
        run_loop(looping(deadline=timedelta(0)))


def test_a_node_that_waits_is_seen_to_live_and_a_cancellation_ends_the_run() -> None:
    seen: list[int] = []

    def heartbeat() -> None:
        seen.append(threading.get_ident())
        if len(set(seen)) > 1 and len(seen) > 4:
            raise KeyboardInterrupt("cancelled")

    with pytest.raises(KeyboardInterrupt, match="cancelled"):
        run_loop(looping(limit=100), heartbeat, every=timedelta(milliseconds=5))
    assert threading.get_ident() in seen
    assert len(set(seen)) == 2
    assert not [thread for thread in threading.enumerate() if thread.name == "graph-heartbeat"]


def test_every_node_has_a_span_under_the_callers_trace() -> None:
    exporter = InMemorySpanExporter()
    setup_telemetry("tests", Settings()).add_span_processor(SimpleSpanProcessor(exporter))
    model, _ = scripted(SCORED, DRAFTED)
    with span("activity"):
        qualify(model)
    spans = {s.name: s for s in exporter.get_finished_spans()}
    exporter.shutdown()
    assert len({s.context.trace_id for s in spans.values()}) == 1
    for node in ("research", "score", "decide", "write"):
        found = spans[f"lead-qualification {node}"]
        assert dict(found.attributes or {}) == {"spine.graph": "lead-qualification", "spine.node": node}
        assert found.parent is not None
        assert found.parent.span_id == spans["invoke_workflow lead-qualification"].context.span_id
    assert spans["invoke_workflow lead-qualification"].parent.span_id == spans["activity"].context.span_id  # type: ignore[union-attr]
    assert not [s.name for s in spans.values() if "Cancity" in s.to_json()]
