"""What a form brought, and whether it is from one of our own pages.

A form is believed when the browser says that it comes from this origin (`Sec-Fetch-Site`, else `Origin`) *and* it carries the
session's CSRF token. Browsers that send neither header are still held to the token. Its `nonce` makes a double click, a reload and
the back button one action: see `Visit.once` in `spine.console.session`.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from spine.errors import InvalidInput, NotAllowed

MAX_FIELDS = 400
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_OURS = frozenset({"csrf", "nonce"})
_TYPED = frozenset({"reason", "body", "reference"})
_PAYLOAD = "p."  # of the fields that `spine.console.typed` makes


class FormRefused(NotAllowed):
    """A form of ours without this session's token: from before logging in anew, as a rule. Nothing in it was done."""


class Posted:
    """A form's fields as text, each with all its values in order. Line ends are \\n, as in the payloads that they came from."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def first(self, name: str, default: str = "") -> str:
        return self._fields.get(name, [default])[0]

    def every(self, name: str) -> list[str]:
        return self._fields.get(name, [])

    def names(self) -> list[str]:
        return list(self._fields)

    @property
    def content(self) -> dict[str, list[str]]:
        """What the person said: all but the two fields that make the form ours."""
        return {name: values for name, values in self._fields.items() if name not in _OURS}

    def by_hand(self) -> list[tuple[str, str]]:
        """What somebody typed, by field: reasons, bodies and the fields of a payload. Never a key, which must not be shown again."""
        named = ((name, values[0]) for name, values in self._fields.items() if name in _TYPED or name.startswith(_PAYLOAD))
        return [(name.removeprefix(_PAYLOAD), text) for name, text in named if text.strip()]

    def nonce(self) -> str:
        """Raises InvalidInput."""
        if not _NONCE.fullmatch(found := self.first("nonce")):
            raise InvalidInput("the form has no nonce: open the page again and send it from there")
        return found


def check_csrf(form: Posted, expected: str) -> None:
    """Raises FormRefused; compared in constant time."""
    if not expected or not hmac.compare_digest(form.first("csrf").encode(), expected.encode()):
        raise FormRefused("the form is from an earlier session, or not from this console: open the page again and send it from there")


def check_origin(request: Request) -> None:
    """Raises NotAllowed for a form that another site sent, whatever cookies came with it."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = request.headers.get("host", "")
    foreign = site not in (None, "same-origin", "none") or (origin is not None and urlsplit(origin).netloc != ours)
    if foreign:
        raise NotAllowed("the form was sent by another site: open the console itself and send it from there")


def local(place: str | None, default: str = "/console/") -> str:
    """`place` when it is a page of this console, else `default`: nobody is sent elsewhere by a link that somebody made."""
    if not place or not (place == "/console" or place.startswith(("/console/", "/console?"))):
        return default
    tame = all(" " < letter <= "~" for letter in place) and "\\" not in place and ".." not in place and "//" not in place
    return place if tame else default


async def _posted(request: Request) -> Posted:
    check_origin(request)
    form = await request.form(max_files=0, max_fields=MAX_FIELDS)
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if not isinstance(value, str):
            raise InvalidInput(f"{name!r} is a file: forms of this console take text only")
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    request.state.posted = posted = Posted(fields)  # so that a refusal's page can give back what was typed
    return posted


Posting = Annotated[Posted, Depends(_posted)]
