"""`spine sweep`: look for what must not be, or not for so long."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from spine.cli.acting import Json, acting, print_json, print_table, say, traced
from spine.identity import Role
from spine.operator_views import FindingView
from spine.sweeper import sweep as round_of


def sweep(
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when nothing is wrong.")] = False,
) -> None:
    """Look for what must not be: stopped work that can run, effects that nobody ends, approvals that nobody can give.

    Findings are kept, announced once while they stand, and cleared when they are gone. Exits with 1 when something stands that a
    customer feels (V2) or worse. Takes an operator's key.
    """
    with acting(Role.OPERATOR) as person, traced("sweep"):
        with person.transaction() as conn:
            found = round_of(conn, tenant_id=person.principal.tenant_id, clock=person.clock, real_now=datetime.now(UTC))
        if as_json:
            print_json(FindingView.of(one) for one in found.standing)
        elif found.standing or not quiet:
            rows = ((one.severity.value, one.code, one.about, person.local(one.raised_at), one.detail) for one in found.standing)
            print_table(("severity", "finding", "about", "since", "detail"), rows, empty="nothing is wrong")
            say(f"{len(found.raised)} new, {len(found.cleared)} gone since the last round")
    if found.is_grave:
        raise typer.Exit(1)
