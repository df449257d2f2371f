"""`spine switches list | engage | release`: stop new effects at once, and let them go on again."""

from typing import Annotated

import typer

from spine.audit import Actor
from spine.cli.acting import Json, acting, print_json, print_table, say, traced
from spine.identity import Role
from spine.operator_views import SwitchView
from spine.policy import PolicyTable
from spine.policy import switches as kill_switches
from spine.policy.switches import Scope
from spine.registry import Registry

app = typer.Typer(help="Kill switches: stop new effects at once.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)

ScopeArgument = Annotated[Scope, typer.Argument(metavar="tenant|automation|action|plugin")]
Target = Annotated[str | None, typer.Argument(help="Its name; for scope tenant it may be left out.")]
Reason = Annotated[str, typer.Option(help="Why, for those who find it engaged, and for the record.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show what is stopped now, since when, by whom and why."""
    with acting() as person:
        with person.transaction() as conn:
            found = kill_switches.engaged(conn, tenant_id=person.principal.tenant_id)
        if as_json:
            print_json(SwitchView.of(one) for one in found)
            return
        rows = ((s.scope.value, s.target, person.local(s.engaged_at), s.engaged_by, s.reason) for s in found)
        print_table(("scope", "target", "since", "by", "reason"), rows, empty="nothing is stopped")


@app.command()
def engage(scope: ScopeArgument, reason: Reason, target: Target = None, as_json: Json = False) -> None:
    """Stop it: nothing that it covers begins any more. What waits is not lost. Takes an operator's key."""
    with acting(Role.OPERATOR) as person, traced("switches engage"), person.transaction() as conn:
        principal = person.principal
        name = target or (principal.tenant_id if scope is Scope.TENANT else "")
        policy = PolicyTable.load(zone=person.settings.timezone)
        kill_switches.check_target(scope, name, tenant_id=principal.tenant_id, automations=Registry.load().automations, policy=policy)
        changed = kill_switches.engage(
            conn,
            tenant_id=principal.tenant_id,
            scope=scope,
            target=name,
            reason=reason,
            actor=Actor(principal.actor_type, principal.id),
            now=person.clock.now(),
        )
        [stands] = [one for one in kill_switches.engaged(conn, tenant_id=principal.tenant_id) if (one.scope, one.target) == (scope, name)]
    if as_json:
        print_json(SwitchView.of(stands))
    else:
        say(f"{scope.value} {name} is stopped" if changed else f"{scope.value} {name} was stopped already, by {stands.engaged_by}")


@app.command()
def release(scope: ScopeArgument, reason: Reason, target: Target = None, as_json: Json = False) -> None:
    """Let it go on: what waited is taken up within a quarter of an hour. Takes an admin's key."""
    with acting(Role.ADMIN) as person, traced("switches release"), person.transaction() as conn:
        principal = person.principal
        name = target or (principal.tenant_id if scope is Scope.TENANT else "")
        changed = kill_switches.release(
            conn,
            tenant_id=principal.tenant_id,
            scope=scope,
            target=name,
            reason=reason,
            actor=Actor(principal.actor_type, principal.id),
            now=person.clock.now(),
        )
    if as_json:
        print_json({"scope": scope.value, "target": name, "released": changed})
    else:
        say(f"{scope.value} {name} goes on" if changed else f"{scope.value} {name} was not stopped")
