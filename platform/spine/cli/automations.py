"""`spine automations list | show | check`: what is plugged in, and whether it fits. Needs no key and nothing that runs."""

import typer

from spine.cli.acting import Cursor, Json, Limit, print_json, print_page, print_table, say, say_more
from spine.errors import NotFound
from spine.inventory import AutomationView, check, inventory, listing
from spine.policy import PolicyTable
from spine.registry import Registry

app = typer.Typer(help="What is plugged in.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_(limit: Limit = 50, cursor: Cursor = None, as_json: Json = False) -> None:
    """Show the automations that installed packages declare, by name."""
    page = listing(Registry.load(), cursor=cursor, limit=limit)
    if as_json:
        print_page(page.items, page.next)
        return
    rows = ((a.name, a.track, a.runs, ", ".join(a.on) or "by hand", a.owner, a.summary) for a in page.items)
    print_table(("automation", "track", "runs", "on", "owner", "what it does"), rows, empty="no package declares any")
    say_more(page.next)


@app.command()
def show(name: str, as_json: Json = False) -> None:
    """Show one automation's manifest."""
    view = _named(name)
    if as_json:
        print_json(view)
        return
    say(f"{view.name}: {view.summary}")
    for field, value in view.model_dump(mode="json", exclude={"name", "summary"}).items():
        say(f"  {field:18} {', '.join(value) if isinstance(value, list) else value}")


@app.command("check")
def check_(as_json: Json = False) -> None:
    """Hold manifests against the event catalogue, the policy table and the connectors. Exits with 1 if something does not fit."""
    registry = Registry.load()
    found = list(check(registry, PolicyTable.load()))
    if as_json:
        print_json(found)
    else:
        for finding in found:
            say(f"{finding.automation}: {finding.what}", f"    → {finding.cure}")
        if not found:
            say(f"{len(registry.automations)} automations fit: {', '.join(sorted(registry.automations))}")
    if found:
        raise typer.Exit(1)


def _named(name: str) -> AutomationView:
    found = {view.name: view for view in inventory(Registry.load())}
    if name not in found:
        raise NotFound(f"no automation {name!r}; there are: {', '.join(found) or 'none'}")
    return found[name]
