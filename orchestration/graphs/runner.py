"""Runs a graph inside an activity: bounded, traced, and continued where an earlier attempt left off.

The business step is Temporal's; a checkpoint only saves model calls. So a retried activity with the same thread goes on after
the last node that finished, and one that had finished gets the same answer again.

Light to import: LangGraph comes in with the first run.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ValidationError

from orchestration.graphs.lead_qualification.state import LeadFacts, OutreachProposal, State, proposal
from orchestration.graphs.models import Meter, Model
from orchestration.graphs.pulse import beating
from shared.events import SideEffectClass
from spine.budgets.runs import OpenBooks
from spine.errors import IdempotencyConflict, InvalidInput, Misconfigured, SpineError
from spine.redact import redacted
from spine.registry import Budget
from spine.settings import Settings
from spine.storage import Checkpointer, thread_id
from spine.telemetry import span

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

StateT = TypeVar("StateT", bound=BaseModel)
Heartbeat = Callable[[], None]

OUTREACH_BUDGET = Budget(tokens=30_000, money=Decimal("0.50"))
"""For one message: two calls of 2,048 tokens out, with room for a record of 20 KB in."""

_LEAVES_THE_COMPANY = (SideEffectClass.EXTERNAL_MESSAGE, SideEffectClass.EXTERNAL_COMMITMENT)


class GraphTimedOut(SpineError):
    """The run was longer than its graph allows. What it finished is kept; another attempt goes on from there."""

    code = "graph-timed-out"
    http_status = 504
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec(Generic[StateT]):
    """A graph as data: how it is built, bounded, and how much of it survives a crash.

    `durability`: "exit" keeps nothing of a run that dies, for throw-away help; "async" may lose the last step; "sync" loses
    nothing that finished. Measured at no cost over "async", and demanded of a graph that may lead out of the company.
    """

    name: str
    version: str
    durability: Literal["exit", "async", "sync"]
    leads_to: SideEffectClass
    recursion_limit: int
    deadline: timedelta
    state: type[StateT]
    checkpointed: Sequence[type]
    build: "Callable[[BaseCheckpointSaver[Any] | None], CompiledStateGraph[Any, Any, Any, Any]]"

    def check(self) -> None:
        """Raises Misconfigured for a graph that could run without end, or lose work on its way to a message."""
        if self.leads_to in _LEAVES_THE_COMPANY and self.durability != "sync":
            raise Misconfigured(f"graph {self.name!r} may lead to an {self.leads_to}: its durability is 'sync', not {self.durability!r}")
        if not 0 < self.recursion_limit <= 100:
            raise Misconfigured(f"graph {self.name!r} needs a recursion_limit of 1 to 100, not {self.recursion_limit}")
        if self.deadline <= timedelta(0):
            raise Misconfigured(f"graph {self.name!r} needs a deadline above 0, not {self.deadline}")


class GraphRunner:
    """One in each worker; threads may share it. `model` None means the baselines, unless `from_settings` finds one configured.

    `books` opens the budget of a run; without it a run is held to its step's budget only.
    """

    def __init__(
        self,
        settings: Settings,
        checkpointer_factory: "Callable[[Sequence[type]], BaseCheckpointSaver[Any]]",
        model: Model | None = None,
        *,
        budget: Budget = OUTREACH_BUDGET,
        books: OpenBooks | None = None,
        heartbeat_every: timedelta = timedelta(seconds=5),
    ) -> None:
        self._checkpointer = checkpointer_factory
        self._model = model or Model.from_settings(settings)
        self._budget = budget
        self._books = books
        self._heartbeat_every = heartbeat_every
        self._owned: Checkpointer | None = None

    @classmethod
    def from_settings(cls, settings: Settings, *, budget: Budget = OUTREACH_BUDGET, books: OpenBooks | None = None) -> Self:
        """The runner of a worker: checkpoints in LangGraph's database, the configured model or none. Raises Misconfigured."""
        checkpointer = Checkpointer.from_settings(settings)
        runner = cls(settings, checkpointer.saver, budget=budget, books=books)
        runner._owned = checkpointer
        return runner

    def close(self) -> None:
        """Give back the connections that `from_settings` opened; a factory handed in is its owner's to close."""
        if self._owned is not None:
            self._owned.close()

    def qualify_lead(
        self, *, tenant_id: str, workflow_id: str, step: int, lead: LeadFacts, heartbeat: Heartbeat, budget: Budget | None = None
    ) -> OutreachProposal:
        """Judge a lead and draft message number `step` (0 the first, 1 to 3 the follow-ups).

        `heartbeat` is called between nodes and, while one runs, from another thread that shares the caller's context; what it
        raises ends the run. Raises InvalidInput, IdempotencyConflict (the same step with other facts), GraphTimedOut,
        ProviderUnavailable, ProviderRefused, Misconfigured. A budget that is spent, or an answer that does not parse, is an
        outcome.
        """
        from orchestration.graphs.lead_qualification.graph import SPEC
        from orchestration.graphs.lead_qualification.nodes import Tools

        try:
            initial = State(lead=_in_the_clear(lead), step=step)
        except ValidationError as error:
            raise InvalidInput(f"step {step!r} is not one of 0 (the first message) to 3 (the last follow-up)") from error

        def tools(state: State) -> Tools:
            books = self._books(tenant_id, workflow_id) if self._books is not None else None
            return Tools(model=self._model, meter=Meter(budget or self._budget, state.spent, books=books, purpose=f"model/{SPEC.name}"))

        thread = thread_id(tenant_id, workflow_id, f"{SPEC.name}-{step}")
        return proposal(self.run(SPEC, thread=thread, initial=initial, tools=tools, heartbeat=heartbeat))

    def run(
        self, spec: GraphSpec[StateT], *, thread: str, initial: StateT, tools: Callable[[StateT], object], heartbeat: Heartbeat
    ) -> StateT:
        """The final state of `spec` on `thread`. `tools` makes the run's context from the state it starts with.

        A thread begun by another version of the graph is dropped and begun again. Raises IdempotencyConflict when the thread
        was begun with other facts, GraphTimedOut past the deadline, Misconfigured past the recursion limit.
        """
        from langgraph.errors import GraphRecursionError

        spec.check()
        saver = self._checkpointer(spec.checkpointed)
        graph = spec.build(saver)
        config: Any = {
            "configurable": {"thread_id": thread},
            "recursion_limit": spec.recursion_limit,
            "metadata": {"graph": spec.name, "graph_version": spec.version},
        }
        earlier = graph.get_state(config)
        if earlier.values and (earlier.metadata or {}).get("graph_version") != spec.version:
            saver.delete_thread(thread)
            earlier = graph.get_state(config)
        given = {name: getattr(initial, name) for name in initial.model_fields_set}
        state = initial
        if earlier.values:
            state = spec.state.model_validate(earlier.values)
            if different := sorted(name for name, value in given.items() if getattr(state, name) != value):
                raise IdempotencyConflict(f"thread {thread!r} was begun with another {', '.join(different)}: a step's facts do not change")
            if not earlier.next:
                return state
        until = time.monotonic() + spec.deadline.total_seconds()
        with (
            span(
                f"invoke_workflow {spec.name}", graph=spec.name, graph_version=spec.version, thread=thread, continued=bool(earlier.values)
            ),
            beating(heartbeat, every=self._heartbeat_every, until=until) as beat,
        ):
            try:
                for values in graph.stream(
                    None if earlier.values else given, config, context=tools(state), durability=spec.durability, stream_mode="values"
                ):
                    state = spec.state.model_validate(values)
                    beat()
                    if time.monotonic() > until:
                        raise GraphTimedOut(f"graph {spec.name!r} ran longer than {spec.deadline} on thread {thread!r}")
            except GraphRecursionError as error:
                raise Misconfigured(f"graph {spec.name!r} took more than its {spec.recursion_limit} steps: it loops") from error
        return state


def _in_the_clear(lead: LeadFacts) -> LeadFacts:
    """Facts as a checkpoint may keep them, for as long as it keeps them: nobody's address, number or secret."""
    words = {"account": lead.account, "product": lead.product, "band": lead.band, "reasons": lead.reasons}
    return LeadFacts.model_validate({**lead.model_dump(), **redacted(words)})
