"""`spine intents list | show | reconcile | settle`: what somebody wants done to the outside world, and what became of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from spine import intents
from spine.audit import Actor
from spine.cli.acting import Acting, Cursor, Json, Limit, acting, print_json, print_page, print_table, say, say_more, traced
from spine.effects import Connector, Effects
from spine.effects.declare import declare_outcome, refuse_under_way
from spine.errors import Misconfigured, OutcomeUnknown, ProviderUnavailable
from spine.identity import Role
from spine.intents import Intent, IntentState
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.views import IntentView

app = typer.Typer(help="What is to be done to the outside world.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)


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
            with person.transaction() as conn:
                refuse_under_way(conn, intent, person.clock)
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


@app.command()
def settle(
    intent_id: Annotated[str, typer.Argument(metavar="INTENT_ID")],
    outcome: Annotated[Literal["completed", "failed"], typer.Option(help="What became of it.")],
    reason: Annotated[str, typer.Option(help="Where you looked, and what you found, for the record.")],
    reference: Annotated[str | None, typer.Option(help="The provider's id of what happened; `completed` takes one.")] = None,
    as_json: Json = False,
) -> None:
    """Declare what became of an unknown intent whose provider cannot be asked. It sends nothing. Takes an admin's key.

    Try `reconcile` first: it asks the provider. The workflow that waits learns of it at its next attempt.
    """
    with acting(Role.ADMIN) as person, traced("intents settle"), person.transaction() as conn:
        settled = declare_outcome(
            conn,
            tenant_id=person.principal.tenant_id,
            intent_id=intent_id,
            outcome=outcome,
            reason=reason,
            reference=reference,
            actor=Actor(person.principal.actor_type, person.principal.id),
            clock=person.clock,
        )
    if as_json:
        print_json(IntentView.of(settled))
    else:
        say(f"intent {intent_id} is {settled.state}, as {person.principal.id} declared")


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
