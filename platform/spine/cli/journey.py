"""`spine journey CORRELATION_ID`: one business flow over all planes, on one timeline."""

from typing import Annotated

import typer

from spine.cli.acting import Json, acting, print_json, print_table, say
from spine.journey import journey as read_journey
from spine.journey import with_links


def journey(
    correlation_id: Annotated[str, typer.Argument(metavar="CORRELATION_ID")],
    audit: Annotated[bool, typer.Option(help="With the audit rows, or only what they bear witness to.")] = True,
    as_json: Json = False,
) -> None:
    """Show what happened in one business flow, from the first event to the last effect, in the order of business time."""
    with acting() as person:
        with person.transaction() as conn:
            found = read_journey(conn, person.principal.tenant_id, correlation_id, clock=person.clock)
        found = with_links(found, person.settings)
        if as_json:
            print_json(found)
            return
        say(f"journey {found.correlation_id} of tenant {found.tenant_id}", *(f"trace {trace}" for trace in found.trace_ids), "")
        steps = [step for step in found.steps if audit or step.plane != "audit"]
        rows = ((person.local(step.time), step.plane, step.what, (step.trace_id or "")[:8]) for step in steps)
        print_table(("when", "plane", "what", "trace"), rows, empty="nothing but audit rows: leave --no-audit out")
        if found.links:
            say("", *(f"{link.name}: {link.url}" for link in found.links))
