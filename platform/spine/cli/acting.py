"""Who acts at the command line, on what, and how commands read files and print."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import psycopg
import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spine.clock import BusinessClock
from spine.db import Connection, Database
from spine.errors import InvalidInput, ProviderUnavailable, TenantMismatch
from spine.identity import Principal, Role, authenticate, tenant_of
from spine.settings import Settings, tenant_named

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="How many at once.")]
Cursor = Annotated[str | None, typer.Option(help="Where the page before ended, as it said.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """An authenticated person at the database. No Temporal client: a short process that had one may never end (trap 34a)."""

    settings: Settings
    database: Database
    principal: Principal
    clock: BusinessClock

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction inside the key's own tenant."""
        with self.database.tenant(self.principal.tenant_id) as conn:
            yield conn

    def local(self, at: datetime) -> str:
        """A time in the tenant's zone."""
        return f"{at.astimezone(ZoneInfo(self.settings.timezone)):%Y-%m-%d %H:%M:%S}"


@contextmanager
def acting(needed: Role = Role.VIEWER, tenant: str | None = None) -> Iterator[Acting]:
    """Whoever SPINE_API_KEY belongs to, in that key's tenant: a person who names another one (`tenant`, else SPINE_TENANT) meant another.

    Raises Misconfigured, NotAuthenticated, TenantMismatch, NotAllowed, and ProviderUnavailable when the database does not answer.
    """
    settings = Settings.load()
    presented = settings.require("api_key")
    named, mine = tenant_named() if tenant is None else tenant, tenant_of(presented)
    if named is not None and named != mine:
        raise TenantMismatch(
            f"tenant {named!r} is named, but the key that is presented is of tenant {mine!r}: set SPINE_API_KEY to a key of {named!r}, "
            f"or leave --tenant and SPINE_TENANT out to act in {mine!r}"
        )
    with reaching(settings) as database:
        principal = authenticate(database, presented)
        principal.require(needed)
        yield Acting(settings=settings, database=database, principal=principal, clock=settings.business_clock())


@contextmanager
def traced(name: str) -> Iterator[None]:
    """A span around what a command changes, so that its audit rows and events name a trace."""
    from spine.telemetry import setup_telemetry, shutdown, span  # slow to import, and needed by few commands

    setup_telemetry("spine-cli", Settings.load())
    try:
        with span(f"spine {name}"):
            yield
    finally:
        shutdown()


@contextmanager
def reaching(settings: Settings) -> Iterator[Database]:
    try:
        with Database.from_settings(settings, max_size=2) as database:
            yield database
    except psycopg.OperationalError as error:
        raise ProviderUnavailable(f"the database does not answer: {str(error).strip()}; `spine status` shows what runs") from error


def read_json(source: str, what: str) -> dict[str, Any]:
    """A JSON object from a file, or from standard input for `-`. Raises InvalidInput, naming the file and the place."""
    name = "standard input" if source == "-" else repr(source)
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise InvalidInput(f"{what} cannot be read from {name}: {error.strerror}; give a file, or `-` for standard input") from error
    except ValueError as error:
        raise InvalidInput(f"{what} in {name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{what} in {name} is a JSON {type(found).__name__}, not an object")
    return found


def print_json(value: BaseModel | Mapping[str, Any] | Iterable[BaseModel]) -> None:
    """The shapes that the gateway answers with."""
    match value:
        case BaseModel():
            shown: Any = value.model_dump(mode="json")
        case Mapping():
            shown = dict(value)
        case _:
            shown = [one.model_dump(mode="json") for one in value]
    typer.echo(json.dumps(shown, ensure_ascii=False))


def print_page(items: Iterable[BaseModel], following: str | None) -> None:
    """One page of a listing, as the gateway answers it."""
    typer.echo(json.dumps({"items": [one.model_dump(mode="json") for one in items], "next": following}, ensure_ascii=False))


def say_more(following: str | None) -> None:
    """Under a table: how to see what comes after it."""
    if following is not None:
        say(f"there are more: --cursor {following}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table for people; `empty` is what to say instead of a table without rows."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    say(empty) if not table.row_count else console().print(table)


def say(*lines: object) -> None:
    for line in lines:
        console().print(plain(line), markup=False, soft_wrap=True)


def console() -> Console:
    """Made anew for each use, so that it writes to today's standard output; wide where nobody looks and a program may cut."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 240)


def plain(value: object) -> str:
    """Text from outside, without what would move the cursor or change colours."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in ("" if value is None else str(value)))
