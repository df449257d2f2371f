"""Automations as data, and how the pieces meet without importing each other.

A package adds its automations through the entry-point group `spine.automations` (each entry: an iterable of `Automation`),
its graphs through `spine.graphs` (each entry: a mapping of graph name → `module:factory`) and its connectors through
`spine.plugins` (each entry: a class with the `spine.effects.Connector` role). `Registry.load()` validates everything at the
door: a wrong type, a duplicate or a missing target is a Misconfigured that names the distribution entry at fault.

This module imports the standard library and `shared.events` only: workflow code and Dagster definitions may both name it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, Self, TypeVar

from shared.events import Envelope, EventData
from spine.errors import Misconfigured, NotFound

T = TypeVar("T")


class Track(StrEnum):
    REVENUE = "revenue"
    PARTNERSHIP = "partnership"
    CORPORATE_DEVELOPMENT = "corporate_development"
    EXPANSION = "expansion"
    INTEGRATION = "integration"
    TRUST = "trust"
    DATA = "data"


class Horizon(StrEnum):
    SHORT = "short"  # inline
    MEDIUM = "medium"  # a data job or a graph
    LONG = "long"  # a workflow


@dataclass(frozen=True, slots=True)
class Workflow:
    """Temporal owns the step."""

    name: str
    task_queue: str = "commitments"


@dataclass(frozen=True, slots=True)
class Graph:
    """LangGraph owns the step."""

    name: str


@dataclass(frozen=True, slots=True)
class DataJob:
    """Dagster owns the step."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    warn: timedelta
    breach: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    tokens: int
    money: Decimal


class WireModel(Protocol):
    """A pydantic model: what crosses a process boundary."""

    def model_dump(self, *, mode: str = ...) -> dict[str, Any]: ...


Key = Callable[[Any], str]
"""Event data → idempotency key, short and free of personal data (see shared.events.keys)."""

Payload = Callable[[Envelope, Any], WireModel]
"""(envelope, event data) → the workflow's input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """A later event that a running instance hears as a Temporal signal; its argument is the event's data."""

    event: type[EventData]
    signal: str
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """One automation: what people read first, what the router checks, what inventories are made from."""

    name: str
    summary: str
    track: Track
    owner: str
    horizon: Horizon
    runs: Workflow | Graph | DataJob
    on: tuple[type[EventData], ...] = ()
    key: Key
    payload: Payload
    payload_model: type[Any]  # the pydantic model that `payload` returns; tasks posted by hand are validated against it
    effects: tuple[str, ...]  # the only actions that its intents may name
    compensation: str
    sla: Sla
    budget: Budget
    listens: tuple[Listen, ...] = ()

    def workflow_id(self, tenant_id: str, key: str) -> str:
        """`tenant/automation/key`: the idempotency key of the start, on every path that leads to it."""
        return f"{tenant_id}/{self.name}/{key}"

    def key_of_input(self, given: Any) -> str | None:
        """The recipe's key for an input, found by the event's data that it carries; None for an input that carries none."""
        facts = (getattr(given, name) for name in self.payload_model.model_fields)
        return next((self.key(fact) for fact in facts if isinstance(fact, self.on)), None)


@dataclass(frozen=True, slots=True)
class Registry:
    automations: Mapping[str, Automation]
    graphs: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, type[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, automations: Iterable[Automation], graphs: Mapping[str, str] | None = None) -> Self:
        """A registry of the given automations, for tests and for embedding. Raises Misconfigured on a duplicate."""
        return cls(_unique(("given", a.name, a) for a in automations), graphs or {})

    @classmethod
    def load(cls) -> Self:
        """Everything that installed distributions declare. Raises Misconfigured, naming the entry at fault."""
        automations = _unique(
            (_label(entry), _typed(entry, item).name, item) for entry in entry_points(group="spine.automations") for item in _iterate(entry)
        )
        graphs = _unique((_label(entry), name, target) for entry in entry_points(group="spine.graphs") for name, target in _items(entry))
        plugins = _unique((_label(entry), entry.name, _loaded(entry)) for entry in entry_points(group="spine.plugins"))
        registry = cls(automations, graphs, plugins)
        registry.check()
        return registry

    def check(self) -> None:
        """Cross-references hold: a graph that an automation runs exists, and names are safe inside a workflow id."""
        for automation in self.automations.values():
            if "/" in automation.name or not automation.name:
                raise Misconfigured(f"automation {automation.name!r}: a name is non-empty and has no '/' (it is part of the workflow id)")
            if isinstance(automation.runs, Graph) and automation.runs.name not in self.graphs:
                raise Misconfigured(
                    f"automation {automation.name!r} runs graph {automation.runs.name!r}, which no `spine.graphs` entry declares"
                )

    def automation(self, name: str) -> Automation:
        try:
            return self.automations[name]
        except KeyError:
            raise NotFound(f"no automation {name!r}; there are: {', '.join(sorted(self.automations)) or 'none'}") from None


def _label(entry: EntryPoint) -> str:
    return f"{entry.group}:{entry.name} = {entry.value}"


def _loaded(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise Misconfigured(f"entry point {_label(entry)} does not load: {error}") from error


def _iterate(entry: EntryPoint) -> Iterable[Any]:
    loaded = _loaded(entry)
    if not isinstance(loaded, Iterable):
        raise Misconfigured(f"entry point {_label(entry)} is a {type(loaded).__name__}, not an iterable of Automation")
    return loaded


def _items(entry: EntryPoint) -> Iterable[tuple[str, str]]:
    loaded = _loaded(entry)
    if not isinstance(loaded, Mapping):
        raise Misconfigured(f"entry point {_label(entry)} is a {type(loaded).__name__}, not a mapping of graph name to 'module:factory'")
    return loaded.items()


def _typed(entry: EntryPoint, item: Any) -> Automation:
    if not isinstance(item, Automation):
        raise Misconfigured(f"entry point {_label(entry)} holds {item!r}, which is not an Automation")
    return item


def _unique(items: Iterable[tuple[str, str, T]]) -> dict[str, T]:
    seen: dict[str, T] = {}
    origin: dict[str, str] = {}
    for label, name, item in items:
        if name in seen:
            raise Misconfigured(f"{name!r} is declared twice: by {origin[name]} and by {label}")
        seen[name], origin[name] = item, label
    return seen
