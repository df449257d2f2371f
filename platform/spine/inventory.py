"""What is plugged in, for people and for programs, and whether it fits together."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.events import CATALOG, ActionClass
from spine.paging import Page, page_of, place_of
from spine.policy import PolicyTable
from spine.registry import Automation, DataJob, Graph, Registry, Workflow


class AutomationView(BaseModel):
    """A manifest as values."""

    model_config = ConfigDict(frozen=True)

    name: str
    summary: str
    track: str
    owner: str
    horizon: str
    runs: str
    on: tuple[str, ...]
    listens: tuple[str, ...]
    effects: tuple[str, ...]
    compensation: str
    sla_warn_seconds: int
    sla_breach_seconds: int
    budget_tokens: int
    budget_money: Decimal
    input_fields: tuple[str, ...]


class Finding(BaseModel):
    """Something about an automation that does not fit. `cure` says what to do."""

    model_config = ConfigDict(frozen=True)

    automation: str
    what: str
    cure: str


def listing(registry: Registry, *, cursor: str | None = None, limit: int = 50) -> Page[AutomationView]:
    """`inventory` in pages. Raises InvalidInput for a cursor that is not ours."""
    after = "" if cursor is None else place_of(cursor, str)[0]
    found = [one for one in inventory(registry) if one.name > after]
    return page_of(found, limit, lambda last: (last.name,))


def inventory(registry: Registry) -> Iterator[AutomationView]:
    """Every automation, by name."""
    for _, automation in sorted(registry.automations.items()):
        yield AutomationView(
            name=automation.name,
            summary=automation.summary,
            track=automation.track.value,
            owner=automation.owner,
            horizon=automation.horizon.value,
            runs=_engine(automation.runs),
            on=tuple(event.short_name() for event in automation.on),
            listens=tuple(f"{listen.event.short_name()} → {listen.signal}" for listen in automation.listens),
            effects=automation.effects,
            compensation=automation.compensation,
            sla_warn_seconds=int(automation.sla.warn.total_seconds()),
            sla_breach_seconds=int(automation.sla.breach.total_seconds()),
            budget_tokens=automation.budget.tokens,
            budget_money=automation.budget.money,
            input_fields=tuple(_fields(automation.payload_model)),
        )


def check(registry: Registry, policy: PolicyTable) -> Iterator[Finding]:
    """What the registry's own check at the door cannot know: manifests against the catalogue, the policy table and the connectors."""
    for _, automation in sorted(registry.automations.items()):
        yield from _check(automation, registry, policy)


def _check(automation: Automation, registry: Registry, policy: PolicyTable) -> Iterator[Finding]:
    def finding(what: str, cure: str) -> Finding:
        return Finding(automation=automation.name, what=what, cure=cure)

    for event in (*automation.on, *(listen.event for listen in automation.listens)):
        if CATALOG.get(event.TYPE) is not event:
            yield finding(f"event {event.TYPE!r} is not in the catalogue", "add it to shared/events/catalog.py and export its schema")
    for action in automation.effects:
        rule = policy.actions.get(action)
        if rule is None:
            yield finding(
                f"effect {action!r} is not in the policy table: the gate would treat it as unknown", f"add {action!r} to actions.yaml"
            )
        elif rule.action_class is ActionClass.C:
            yield finding(f"effect {action!r} is forbidden (class C)", "take it out of the manifest: no intent of it can ever run")
        elif rule.plugin is not None and action not in getattr(registry.plugins.get(rule.plugin), "actions", ()):
            yield finding(
                f"effect {action!r} is carried out by plugin {rule.plugin!r}, which is not installed or does not know it",
                f"install a package whose `spine.plugins` entry {rule.plugin!r} declares the action",
            )
    if not _fields(automation.payload_model):
        yield finding("payload_model is no pydantic model: tasks by hand cannot be judged", "name the model that `payload` returns")
    if isinstance(automation.runs, Graph) and automation.on:
        yield finding("an event cannot start a graph: it runs inside a workflow's activity", "run a workflow that uses the graph")
    if automation.sla.warn > automation.sla.breach:
        yield finding("its SLA warns after it is broken", "make `warn` the shorter of the two")


def _engine(runs: Workflow | Graph | DataJob) -> str:
    match runs:
        case Workflow(name):
            return f"workflow {name}"
        case Graph(name):
            return f"graph {name}"
        case DataJob(name):
            return f"data job {name}"


def _fields(model: Any) -> dict[str, Any]:
    return dict(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else {}
