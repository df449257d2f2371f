"""`spine intents list | show`: what somebody wants done to the outside world, and what became of it."""

import json
from typing import Annotated

import typer

from spine import intents
from spine.cli.acting import Json, acting, print_json, print_table, say
from spine.identity import Role
from spine.intents import IntentState
from spine.views import IntentView

app = typer.Typer(help="What is to be done to the outside world.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_(
    state: Annotated[IntentState | None, typer.Option(help="Only those in this state.")] = None,
    automation: Annotated[str | None, typer.Option(help="Only those of this automation.")] = None,
    correlation: Annotated[str | None, typer.Option(help="Only those of this business flow.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
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
                limit=limit,
            )
        if as_json:
            print_json(IntentView.of(intent) for intent in page.intents)
            return
        rows = ((i.intent_id, i.action, i.state, i.automation, i.key, person.local(i.created_at)) for i in page.intents)
        print_table(("intent", "action", "state", "automation", "key", "proposed"), rows, empty="no such intents")
        if page.next_page:
            say(f"there are more: narrow it down, or --limit beyond {limit}")


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
