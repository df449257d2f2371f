"""`spine`: the command line over the same services that the gateway and the workers use.

A group of commands is a module beside this one with `app: typer.Typer`; a single command is a module with a function of its name.
Either is imported only when it is named, so that `spine status` does not load what `spine demo` needs.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from spine.errors import (
    Conflict,
    InvalidInput,
    Misconfigured,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    ProviderError,
    SpineError,
)

# One paragraph a line: rich wraps by itself and keeps our line ends.
HELP = "\n\n".join(
    [
        "The spine: where automations are plugged in safely.",
        "[cyan]spine up[/] starts everything on this machine, [cyan]spine status[/] shows it, [cyan]spine doctor[/] says what is wrong "
        "and how to mend it, [cyan]spine demo[/] shows the main job from end to end.",
        "State lives in .spine/, or where SPINE_HOME says. Commands that list something take --json.",
        "[bold]Exit codes[/]: 0 done · 1 failed, or something is not well · 2 the command line is wrong · 3 the state of things forbids it "
        "(already running, already decided) · 4 no such thing · 5 not allowed · 6 the input does not fit · 7 the installation is wrong · "
        "8 a server does not answer · 130 interrupted.",
    ]
)
# Command → module of this package. The order is the order of the help page.
_COMMANDS: Mapping[str, str] = {
    "up": "stack",
    "down": "stack",
    "status": "stack",
    "doctor": "stack",
    "reset": "stack",
    "demo": "demo",
    "automations": "automations",
    "contacts": "contacts",
    "events": "events",
    "approvals": "approvals",
    "intents": "intents",
    "dead-letters": "dead_letters",
    "journey": "journey",
    "policy": "policy",
    "canary": "canary",
    "switches": "switches",
    "budgets": "budgets",
    "audit": "audit",
    "sweep": "sweep",
    "approvers": "approvers",
    "webhooks": "webhooks",
    "keys": "keys",
}
_CODES: Sequence[tuple[type[SpineError], int]] = (
    (Conflict, 3),
    (NotFound, 4),
    (NotAllowed, 5),
    (NotAuthenticated, 5),
    (InvalidInput, 6),
    (Misconfigured, 7),
    (ProviderError, 8),
)


class _OnDemand(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the signature is Typer's
        return [name for name, module in _COMMANDS.items() if importlib.util.find_spec(f"{__name__}.{module}")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _command(cmd_name) if cmd_name in self.list_commands(ctx) else None


def _command(name: str) -> Any:
    module = importlib.import_module(f"{__name__}.{_COMMANDS[name]}")
    if (group := getattr(module, "app", None)) is None:
        group = typer.Typer(rich_markup_mode="rich", add_completion=False)
        group.command(name)(getattr(module, name))
    command: Any = typer.main.get_command(group)
    command = getattr(command, "commands", {}).get(name, command)  # one of several top-level commands that share a module
    command.name = name
    return command


app = typer.Typer(cls=_OnDemand, help=HELP, rich_markup_mode="rich", no_args_is_help=True, add_completion=False)


@app.callback()
def _root(
    home: Annotated[Path | None, typer.Option(envvar="SPINE_HOME", help="Where the stack keeps its state.", show_default=".spine")] = None,
) -> None:
    if home is not None:
        os.environ["SPINE_HOME"] = str(home)  # one place for this process and for those it starts


def exit_code(error: SpineError) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


def main() -> NoReturn:
    """The console script. Errors of ours are a line on stderr and an exit code; anything else is a bug and keeps its traceback."""
    try:
        app(standalone_mode=True)
    except SpineError as error:
        Console(stderr=True, highlight=False).print(f"[red]{error.code}[/red]: ", end="")
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(str(error))
        sys.exit(exit_code(error))
    sys.exit(0)
