"""The graph as data and its factory; nothing is compiled at import.

research → score → decide → write. A decision ends it wherever it falls; only a proposed lead reaches `write`.
"""

from datetime import timedelta
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from orchestration.graphs.lead_qualification import nodes
from orchestration.graphs.lead_qualification.nodes import Tools
from orchestration.graphs.lead_qualification.state import CHECKPOINTED, Outcome, State
from orchestration.graphs.runner import GraphSpec
from orchestration.graphs.tracing import traced
from shared.events import SideEffectClass

NAME = "lead-qualification"


def build(checkpointer: BaseCheckpointSaver[Any] | None = None) -> CompiledStateGraph[State, Tools, State, State]:
    graph: StateGraph[State, Tools, State, State] = StateGraph(State, context_schema=Tools)
    for name, node in (("research", nodes.research), ("score", nodes.score), ("decide", nodes.decide), ("write", nodes.write)):
        graph.add_node(name, traced(NAME, name, node))
    graph.add_edge(START, "research")
    graph.add_conditional_edges("research", is_decided, {False: "score", True: END})
    graph.add_conditional_edges("score", is_decided, {False: "decide", True: END})
    graph.add_conditional_edges("decide", is_proposed, {True: "write", False: END})
    graph.add_edge("write", END)
    return graph.compile(checkpointer=checkpointer, name=NAME)


def is_decided(state: State) -> bool:
    return state.decision is not None


def is_proposed(state: State) -> bool:
    return state.decision is not None and state.decision.outcome is Outcome.PROPOSED


SPEC = GraphSpec(
    name=NAME,
    version="1",  # raise it when a node, the state or a prompt changes its meaning: checkpoints of another version are dropped
    durability="sync",
    leads_to=SideEffectClass.EXTERNAL_MESSAGE,
    recursion_limit=10,
    deadline=timedelta(minutes=3),
    state=State,
    checkpointed=CHECKPOINTED,
    build=build,
)
