"""`spine intents list | show | reconcile`: what somebody wants done to the outside world, and what became of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer

from spine import intents
from spine.audit import Actor
from spine.cli.acting import Acting, Cursor, Json, Limit, acting, print_json, print_page, print_table, say, say_more, traced
from spine.effects import Connector, Effects, ledger
from spine.errors import Conflict, Misconfigured, OutcomeUnknown, ProviderUnavailable
from spine.identity import Role
from spine.intents import Intent, IntentState
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.views import IntentView

app = typer.Typer(help="What is to be done to the outside world.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)

_UNDER_WAY = timedelta(minutes=3)
"""An attempt may still be with the provider; the worker bounds it at two minutes. Until then "unknown to it" may mean "not yet"."""


@app.command("list")
def list_(
    state: Annotated[IntentState | None, typer.Option(help="Only those in this state.")] = None,
    automation: Annotated[str | None, typer.Option(help="Only those of this automation.")] = None,
    correlation: Annotated[str | None, typer.Option(help="Only those of this business flow.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """Show intents, the newest first, without payloads."""
    with acting() as person:
        with person.transaction() as conn:
            page = intents.listing(
                conn,
                tenant_id=person.principal.tenant_id,
                state=state,
                automation=automation,
                correlation_id=correlation,
                cursor=cursor,
                limit=limit,
            )
        if as_json:
            print_page((IntentView.of(intent) for intent in page.items), page.next)
            return
        rows = ((i.intent_id, i.action, i.state, i.automation, i.key, person.local(i.created_at)) for i in page.items)
        print_table(("intent", "action", "state", "automation", "key", "proposed"), rows, empty="no such intents")
        say_more(page.next)


@app.command()
def show(intent_id: Annotated[str, typer.Argument(metavar="INTENT_ID")], as_json: Json = False) -> None:
    """Show one intent, with what it would do."""
    with acting() as person:
        with person.transaction() as conn:
            intent = intents.read(conn, person.principal.tenant_id, intent_id)
        view = IntentView.of(intent, whole=person.principal.role.covers(Role.OPERATOR))
        if as_json:
            print_json(view)
            return
        say(
            f"{view.action}, revision {view.revision}, of {view.automation}/{view.key}: {view.state}",
            f"  classes      {view.action_class} {view.approval_class} {view.reversibility_class} {view.sensitivity_class}",
            f"  proposed by  {view.requested_by} ({view.requested_by_type}) at {person.local(view.created_at)}",
            *(f"  because      {reason.text}" for reason in view.reasons),
            f"  policy       {view.policy_version}",
            f"  digest       {view.digest}",
            f"  workflow     {view.workflow_id}",
            f"  journey      spine journey {view.correlation_id}",
        )
        for name, part in (("payload", view.payload), ("evidence", view.evidence)):
            if part is not None:
                say("", f"{name}:", json.dumps(part, indent=2, ensure_ascii=False))


@app.command()
def reconcile(intent_id: Annotated[str, typer.Argument(metavar="INTENT_ID")], as_json: Json = False) -> None:
    """Ask the provider what became of an intent that is executing or unknown, and write that down. It never sends.

    What the provider has never heard of is failed for good: for when retries are given up.
    """
    with acting(Role.OPERATOR) as person, traced("intents reconcile"):
        policy, principal = PolicyTable.load(zone=person.settings.timezone), person.principal
        with person.transaction() as conn:
            intent = intents.read(conn, principal.tenant_id, intent_id)
        if intent.state in (IntentState.EXECUTING, IntentState.UNKNOWN):
            _nothing_under_way(person, intent)
            with _connector_of(person, intent, policy) as connectors:
                effects = Effects(person.database, connectors, policy, person.clock)
                try:
                    effects.reconcile(principal.tenant_id, intent_id, actor=Actor(principal.actor_type, principal.id))
                except (ProviderUnavailable, OutcomeUnknown) as error:
                    raise type(error)(f"{error}; intent {intent_id!r} stays open and nothing was sent: ask again later") from error
            with person.transaction() as conn:
                settled = intents.read(conn, principal.tenant_id, intent_id)
            found = f"intent {intent_id} was {intent.state}; the provider was asked: it is {settled.state}"
        else:
            settled, found = intent, f"intent {intent_id} is {intent.state}: there is nothing to ask about"
        if as_json:
            print_json(IntentView.of(settled))
        else:
            say(found)


def _nothing_under_way(person: Acting, intent: Intent) -> None:
    with person.transaction() as conn:
        begun = ledger.last_attempt_at(conn, intent)
    if begun is not None and person.clock.real(person.clock.now() - begun) < _UNDER_WAY:
        raise Conflict(
            f"an attempt at intent {intent.intent_id!r} began at {person.local(begun)} and may still be with the provider: "
            f"ask {_UNDER_WAY.seconds // 60} minutes after that"
        )


@contextmanager
def _connector_of(person: Acting, intent: Intent, policy: PolicyTable) -> Iterator[dict[str, Connector]]:
    """The one connector that this intent needs, configured as the worker's. Raises Misconfigured naming what is missing."""
    plugin = policy.rule(intent.action).plugin or ""
    made = Registry.load().plugins.get(plugin)
    if made is None:
        raise Misconfigured(f"no `spine.plugins` entry declares {plugin!r}, which action {intent.action!r} needs: install what has it")
    connector = made.from_settings(person.settings)
    try:
        yield {plugin: connector}
    finally:
        connector.close()
