"""Reading YAML strictly, and remembering on which line everything stands.

YAML keeps the last of two equal keys without a word; here the second is a finding. An alias (`*own`) stands where it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spine.errors import Misconfigured

Path_ = tuple[str, ...]
_MOST = 100_000  # values, with what aliases stand for written out; the table that is shipped has some two thousand


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a table. `place` is `file:line`, or what it was called when it came from no file."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Written:
    """A document as values, with the line of each key, counted from 1, and what is wrong already."""

    name: str
    values: Any
    lines: Mapping[Path_, int] = field(default_factory=dict)
    doubles: tuple[Finding, ...] = ()

    def place(self, *path: str) -> str:
        """Where the nearest enclosing key of `path` stands."""
        for length in range(len(path), 0, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return f"{self.name}:{line}"
        return self.name


def read(path: Path) -> Written:
    """Raises Misconfigured for what cannot be read, or is no YAML, with the place."""
    try:
        with path.open(encoding="utf-8") as file:
            loader = yaml.SafeLoader(file)
            node = loader.get_single_node()
            lines: dict[Path_, int] = {}
            doubles: list[Finding] = []
            if node is not None:
                _written_out(node, path, {})
                _walk(node, (), path.name, lines, doubles)
            values = None if node is None else loader.construct_document(node)
    except OSError as error:
        raise Misconfigured(f"policy table {str(path)!r} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misconfigured(f"policy table {str(path)!r} is not YAML: {error}") from error
    except RecursionError as error:
        raise Misconfigured(f"policy table {str(path)!r} is nested too deeply: a line of it is a few levels deep") from error
    except ValueError as error:  # a number of thousands of digits, a date that there is not
        raise Misconfigured(f"policy table {str(path)!r} has a value that is none: {error}; write it in quotes") from error
    return Written(path.name, values, lines, tuple(doubles))


def _written_out(node: yaml.Node, path: Path, known: dict[int, int]) -> int:
    """How many values a node stands for: aliases of aliases, and one of itself, are few lines and no end of work."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = _MOST + 1  # until it is counted: whoever meets it before that is inside it
    below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    count = 1 if isinstance(node, yaml.ScalarNode) else 1 + sum(_written_out(one, path, known) for one in below)
    if count > _MOST:
        where = f"line {node.start_mark.line + 1}"
        raise Misconfigured(f"policy table {str(path)!r}: {where} stands for more than {_MOST} values: take aliases (*name) out of it")
    known[id(node)] = count
    return count


def _walk(node: yaml.Node, path: Path_, name: str, lines: dict[Path_, int], doubles: list[Finding]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            lines[*path, str(number)] = item.start_mark.line + 1
            _walk(item, (*path, str(number)), name, lines, doubles)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here, line = (*path, str(key.value)), key.start_mark.line + 1
        if here in lines:
            doubles.append(Finding(f"{name}:{line}", f"{str(key.value)!r} is given twice, first in line {lines[here]}"))
            continue
        lines[here] = line
        if len(path) < 3:  # deeper than a tier's fields there is nothing, and an alias of itself would have no end
            _walk(value, here, name, lines, doubles)
