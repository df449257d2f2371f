"""What the pages of long lists share: filters that live in the address, and choices that are refused when they are none."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response

from spine.console import labels
from spine.console.render import page
from spine.console.session import Visitor
from spine.errors import InvalidInput

ROWS = 50

Choice = TypeVar("Choice", bound=StrEnum)


def show(request: Request, visitor: Visitor, template: str, *, status: int = 200, **context: Any) -> Response:
    """A page with the labels of our records' own words."""
    return page(request, visitor, template, status=status, labels=labels, **context)


def given(value: str | None) -> str | None:
    """A filter as it was typed: blanks around it are nobody's meaning, and an empty one asks for nothing."""
    return (value or "").strip() or None


def choice(kind: type[Choice], value: str | None, name: str) -> Choice | None:
    """One of the values there are, or none. Raises InvalidInput naming them."""
    if (asked := given(value)) is None:
        return None
    try:
        return kind(asked)
    except ValueError:
        raise InvalidInput(f"{name} {asked!r} is none: there are {', '.join(kind)}") from None


def one_of(known: Iterable[str], value: str | None, name: str) -> str | None:
    """The same where the values are plain text."""
    asked, values = given(value), tuple(known)
    if asked is not None and asked not in values:
        raise InvalidInput(f"{name} {asked!r} is none: there are {', '.join(values)}")
    return asked


def named(**filters: object) -> Mapping[str, str]:
    """The filters that ask for something, as they stand in the address of the following page."""
    return {name: str(value) for name, value in filters.items() if value is not None}
