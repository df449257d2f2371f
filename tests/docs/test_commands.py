"""Every `spine …` that the documents tell a person to type is one that the command line takes: parsed, never run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from spine.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
_BLOCK = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_TYPED = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\S*/)?spine (\S.*)$")
_MENTIONED = re.compile(r"`spine ([a-z][^`]*)`")
_END = re.compile(r"^(?:\||\|\||&&|;|&|>|>>|<|2>)$")


def typed(page: str) -> Iterator[str]:
    """Command lines in code blocks, without the program's name."""
    for block in _BLOCK.findall(page):
        for line in block.replace("\\\n", " ").splitlines():
            if found := _TYPED.match(line.strip()):
                yield found[1]


def mentioned(page: str) -> Iterator[str]:
    """The same in running text, where arguments may be left out."""
    yield from _MENTIONED.findall(_BLOCK.sub("", page))


def words(line: str) -> list[str]:
    given = shlex.split(line, comments=True)
    given = [word for word in given if word != "--help"]  # taken everywhere, and it would print
    return given[: next((number for number, word in enumerate(given) if _END.match(word)), len(given))]


def parse(line: str, *, whole: bool = True) -> None:
    """Raises AssertionError for a command, option or value that there is not; with `whole`, also for what is left out."""
    command, context, name, rest = typer.main.get_command(app), None, "spine", words(line)
    while hasattr(command, "get_command"):
        if not rest:
            assert not whole, f"`spine {line}` names a group and no command of it"
            return
        context = _parsed(line, command, name, rest, context)
        name, *rest = [*context._protected_args, *context.args]
        found: Any = command.get_command(context, name)
        assert found is not None, f"`spine {line}`: there is no {name!r}, but {', '.join(command.list_commands(context))}"
        command = found
    if whole:
        _parsed(line, command, name, rest, context)
    else:
        _known_options(line, command, rest)


def _parsed(line: str, command: Any, name: str, rest: list[str], parent: Any) -> Any:
    try:
        return command.make_context(name, list(rest), parent=parent)
    except Exception as error:
        raise AssertionError(f"`spine {line}`: {getattr(error, 'message', '') or error!r}") from error


def _known_options(line: str, command: Any, rest: list[str]) -> None:
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    lost = [word for word in rest if word.startswith("-") and word != "-" and word.partition("=")[0] not in known]
    assert not lost, f"`spine {line}`: there is no {', '.join(lost)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_taken_by_the_command_line(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for line in typed(text):
        parse(line)
    for line in mentioned(text):
        parse(line, whole=False)


def test_every_command_is_explained_somewhere() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = {words(line)[0] for line in [*typed(pages), *mentioned(pages)]}
    there_are = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined]
    assert set(there_are) <= named, f"no page names {sorted(set(there_are) - named)}"


@pytest.mark.parametrize(
    "line",
    [
        "frobnicate",
        "approvals frobnicate",
        "approvals list --frobnicate",
        "intents list --state perhaps",
        "approvals reject",
        "approvals",
        "journey A B",
    ],
)
def test_a_command_line_that_is_wrong_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match="spine"):
        parse(line)


@pytest.mark.parametrize("line", ["frobnicate", "approvals frobnicate", "approvals list --frobnicate"])
def test_a_mention_that_is_wrong_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match="spine"):
        parse(line, whole=False)


def test_parsing_a_command_does_not_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr("spine.cli.stack._home", lambda: ran.append("down"))
    parse("down  # a comment | and no pipe")
    parse("status --json | jq .state")
    assert ran == []
