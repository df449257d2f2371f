"""What an edit changed: field by field, and word by word where the field is text."""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PIECES = re.compile(r"\s+|\w+|[^\w\s]")
_LONG = 3000  # words and marks; beyond that lines are compared, which stays quick


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that stayed ('same'), went ('gone') or came ('new')."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """One field that is not as it was."""

    path: tuple[str, ...]
    pieces: tuple[Piece, ...]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every leaf of two payloads that differs, in the order of the later one; what was removed comes last."""
    old, new = dict(leaves(before)), dict(leaves(after))
    paths = [*new, *(path for path in old if path not in new)]
    return [Change(path, compared(as_text(old.get(path)), as_text(new.get(path)))) for path in paths if old.get(path) != new.get(path)]


def compared(before: str, after: str) -> tuple[Piece, ...]:
    """Two texts as one, with what went and what came marked."""
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    if len(old) + len(new) > _LONG:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    pieces: list[Piece] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[i1:i2])))
        else:
            pieces += [Piece(kind, text) for kind, text in (("gone", "".join(old[i1:i2])), ("new", "".join(new[j1:j2]))) if text]
    return tuple(pieces)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """The scalar values of a JSON tree with their paths; an empty object or list is a leaf too."""
    match value:
        case {} if value:
            return [found for name, inner in value.items() for found in leaves(inner, (*path, str(name)))]
        case [*items] if items:
            return [found for place, inner in enumerate(items) for found in leaves(inner, (*path, str(place)))]
    return [(path, value)]


def as_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
    return json.dumps(value, ensure_ascii=False)
