"""Between LangGraph and a node that is a plain function."""

from collections.abc import Callable
from typing import Any, TypeVar

from langgraph.runtime import Runtime

from spine.telemetry import span

StateT = TypeVar("StateT")
ToolsT = TypeVar("ToolsT")
UpdateT = TypeVar("UpdateT")


def traced(graph: str, name: str, node: Callable[[StateT, ToolsT], UpdateT]) -> Any:  # its overloads fit no generic function
    """`node` in LangGraph's form, inside a span of its own."""

    def run(state: StateT, runtime: Runtime[Any]) -> UpdateT:
        with span(f"{graph} {name}", graph=graph, node=name):
            return node(state, runtime.context)

    # LangGraph reads the type hints of what it is given, and would take a type variable for the node's input schema.
    run.__annotations__ = {"runtime": Runtime[Any]}
    run.__name__ = name
    return run
