"""`spine audit list | show | seal | export | verify`: who let this happen, and the proof that the answer was not changed since."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from spine import audit
from spine.audit import Actor, export, seals, verify
from spine.audit.shown import AuditRowView, ProofView
from spine.cli.acting import Cursor, Json, Limit, acting, print_json, print_page, print_table, say, say_more, traced
from spine.errors import InvalidInput
from spine.identity import Role

app = typer.Typer(help="The audit log and its seals.", rich_markup_mode="rich", no_args_is_help=True)


@app.command("list")
def list_(
    correlation_id: Annotated[str | None, typer.Option(help="Only of this flow.")] = None,
    subject_id: Annotated[str | None, typer.Option(help="Only about this record.")] = None,
    actor_id: Annotated[str | None, typer.Option(help="Only what this person or process did.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as approval.decided.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """Show what is on record, the newest first. Takes an operator's key."""
    wanted = {"correlation_id": correlation_id, "subject_id": subject_id, "actor_id": actor_id, "action": action}
    with acting(Role.OPERATOR) as person:
        with person.transaction() as conn:
            page = audit.listing(conn, tenant_id=person.principal.tenant_id, limit=limit, cursor=cursor, **wanted)
        if as_json:
            print_page((AuditRowView.of(row) for row in page.items), page.next)
            return
        rows = ((r.position, person.local(r.occurred_at), r.actor.id, r.action, r.subject_id, r.severity.value) for r in page.items)
        print_table(("position", "when", "who", "what", "on", "severity"), rows, empty="nothing like that is on record")
        say_more(page.next)


@app.command()
def show(position: Annotated[int, typer.Argument(help="The row's position, from `spine audit list`.")], as_json: Json = False) -> None:
    """Show one row whole, with the proof that it is in a sealed batch. Takes an operator's key."""
    with acting(Role.OPERATOR) as person, person.transaction() as conn:
        proof = seals.prove(conn, tenant_id=person.principal.tenant_id, position=position)
    view = ProofView.of(proof)
    if as_json:
        print_json(view)
        return
    print_table(("field", "value"), view.content.items(), empty="")
    say(
        f"sealed as row {view.index + 1} of {view.size} in seal {view.seal.number} of {person.local(view.seal.sealed_at)}: {view.seal.root}"
    )


@app.command()
def seal(as_json: Json = False) -> None:
    """Seal what is not sealed yet. A job does it every ten minutes; this is for whoever does not want to wait."""
    with acting(Role.OPERATOR) as person, traced("audit seal"):
        count, last = 0, None
        while True:
            with person.transaction() as conn:
                made = seals.seal(conn, tenant_id=person.principal.tenant_id, now=person.clock.now())
            if made is None:
                break
            count, last = count + len(made.leaves), made
    told = {"rows": count, "seal": last.number if last else None, "head": last.root if last else None}
    if as_json:
        print_json(told)
    else:
        say(f"{count} rows sealed; head {told['head']}" if last else "nothing to seal: every row that can be sealed is")


@app.command("export")
def export_(
    to: Annotated[Path, typer.Option("--to", help="The file to write; it must not be there yet.")],
    as_json: Json = False,
) -> None:
    """Write the whole log with its seals to a file that `spine audit verify FILE` judges anywhere.

    Takes an admin's key, and is itself on record.
    """
    with acting(Role.ADMIN) as person, traced("audit export"):
        tenant_id, now = person.principal.tenant_id, person.clock.now()
        with _new_file(to) as file:
            with person.transaction() as conn:
                export.recorded(conn, tenant_id=tenant_id, actor=Actor(person.principal.actor_type, person.principal.id), now=now)
            count = 0
            for line in export.lines(person.transaction, tenant_id=tenant_id, now=now):
                count += file.write(line) > 0
    if as_json:
        print_json({"file": str(to), "lines": count})
    else:
        say(f"{count} lines in {str(to)!r}; judge it with: spine audit verify {to}")


@app.command("verify")
def verify_(
    file: Annotated[Path | None, typer.Argument(help="An export; without it, the database.")] = None,
    anchor: Annotated[str | None, typer.Option(help="A head that was kept elsewhere: it must be in the chain.")] = None,
    as_json: Json = False,
) -> None:
    """Say whether the log is as it was sealed, and name the first row that is not. With a file: no database, no key, no network."""
    if file is not None:
        found = _judged(file, anchor)
    else:
        with acting(Role.OPERATOR) as person, person.transaction() as conn:
            found = verify.of_database(conn, tenant_id=person.principal.tenant_id, anchor=anchor)
    if as_json:
        print_json(_as_json(found))
    else:
        say(f"tenant {found.tenant_id}: {found.rows} rows in {found.seals} seals hold, {found.unsealed} not sealed yet; head {found.head}")
        if found.fault:
            say(f"NOT AS SEALED ({found.fault.kind}): {found.fault.why}")
        elif not found.seals:
            say("nothing is sealed yet, so this proves nothing: `spine audit seal` seals it now, and a job does every ten minutes")
        else:
            say("keep the head elsewhere: given as --anchor, it shows that nobody rewrote the whole")
    if not found.is_whole:
        raise typer.Exit(1)


def _judged(file: Path, anchor: str | None) -> verify.Verdict:
    try:
        # Damaged bytes are read as marks, and the digest at the file's end tells of them.
        with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            return verify.of_export(lines, anchor=anchor)
    except OSError as error:
        raise InvalidInput(f"the export {str(file)!r} cannot be read: {error.strerror}") from error


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be written: {error.strerror}; name a file that is not there yet") from error


def _as_json(found: verify.Verdict) -> dict[str, Any]:
    fault = found.fault
    told = {name: getattr(found, name) for name in ("tenant_id", "rows", "seals", "unsealed", "head", "is_whole")}
    return {**told, "fault": None if fault is None else {name: getattr(fault, name) for name in ("kind", "why", "position", "seal")}}
