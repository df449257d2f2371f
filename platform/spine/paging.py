"""Pages of long lists: keyset cursors, opaque to the caller.

A listing takes `limit` and `cursor` and answers with `items` and `next`, which is None on the last page. The cursor names the last
row that was shown by the values it is ordered by, so rows that come or go meanwhile neither repeat nor hide others.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from spine.errors import InvalidInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """At most `limit` items, and the cursor of the following page; None at the end."""

    items: tuple[T, ...]
    next: str | None


def page_of(found: Sequence[T], limit: int, place: Callable[[T], Sequence[str]]) -> Page[T]:
    """A page from `limit` + 1 rows, or fewer at the end. `place` are the values that the rows are ordered by, as text."""
    shown = tuple(found[:limit])
    return Page(shown, cursor_at(place(shown[-1])) if len(found) > limit else None)


def cursor_at(place: Sequence[str]) -> str:
    return urlsafe_b64encode(json.dumps(list(place), separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(cursor: str, *kinds: Callable[[str], Any]) -> tuple[Any, ...]:
    """The values of a cursor, each read by its kind: `place_of(cursor, datetime.fromisoformat, UUID)`. Raises InvalidInput."""
    try:
        values = json.loads(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise ValueError
        return tuple(kind(value) for kind, value in zip(kinds, values, strict=True))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"cursor {cursor!r} is not one that this listing gave: leave it out to start from the beginning") from error
