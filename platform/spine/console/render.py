"""Pages from templates: escaped always, strict about names, in the visitor's language."""

import hashlib
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from spine.console import plain
from spine.console.words import LANGUAGES, Words, catalogue_of, say, words_of
from spine.gateway.auth import services_of

if TYPE_CHECKING:
    from spine.console.session import Visitor

STATIC = Path(__file__).with_name("static")
THEME_COOKIE = "spine_theme"
THEMES = ("auto", "light", "dark")

# The pages of the navigation: address, name, the key that goes there after `g`.
_PLACES = (
    ("/console/", say("Inbox"), "i"),
    ("/console/journeys", say("Journeys"), "o"),
    ("/console/intents", say("Intents"), "t"),
    ("/console/automations", say("Automations"), "a"),
    ("/console/dead-letters", say("Dead letters"), "d"),
    ("/console/budgets", say("Budgets"), "b"),
    ("/console/audit", say("Audit"), "u"),
)


def page(request: Request, visitor: "Visitor | None", template: str, *, status: int = 200, **context: Any) -> Response:
    """A whole page. Templates extend `base.html`, say texts through `_()`, and have what `_given` lists besides their context."""
    return HTMLResponse(text_of(request, visitor, template, **context), status_code=status)


def text_of(request: Request, visitor: "Visitor | None", template: str, **context: Any) -> str:
    words = words_here(request)
    return _environment(words.language).get_template(template).render(_given(request, visitor, words) | context)


def words_here(request: Request) -> Words:
    services = services_of(request)
    return words_of(request, zone=services.settings.timezone, now=services.clock.now())


def _given(request: Request, visitor: "Visitor | None", words: Words) -> dict[str, Any]:
    """What every template may use: `words` for dates and numbers, `nonce()` for each form, `at(name)` for static files."""
    theme = request.cookies.get(THEME_COOKIE, "auto")
    here = str(request.url.path) if request.method in ("GET", "HEAD") else page_behind(str(request.url.path))
    return {
        "visitor": visitor,
        "csrf": visitor.csrf if visitor else "",
        "words": words,
        "languages": LANGUAGES,
        "theme": theme if theme in THEMES else "auto",
        "themes": THEMES,
        "path": str(request.url.path),
        "here": f"{here}?{request.url.query}" if request.url.query and request.method == "GET" else here,
        "places": _PLACES,
        "nonce": lambda: secrets.token_urlsafe(18),
        "at": address_of,
        "class_words": plain.CLASSES,
        "class_tones": plain.TONES,
        "rate": services_of(request).clock.rate,
    }


def page_behind(path: str) -> str:
    """The page whose form is sent to `path`: forms have addresses of their own below their page's, which nobody can open."""
    above = path.rpartition("/")[0]
    return "/console/" if above in ("", "/console", "/console/approvals") else above


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("spine.console"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    catalogue = catalogue_of(language)
    cast(Any, environment).install_gettext_callables(catalogue.gettext, catalogue.ngettext, newstyle=True)
    environment.filters["segment"] = lambda text: quote(str(text), safe="")
    return environment


@cache
def static_files() -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in STATIC.iterdir() if path.is_file()}


@cache
def static_version() -> str:
    """Of all files together: a changed file has another address, so that browsers may keep each for ever."""
    whole = hashlib.sha256(b"\0".join(name.encode() + b"\0" + content for name, content in sorted(static_files().items())))
    return whole.hexdigest()[:16]


def address_of(name: str) -> str:
    return f"/console/static/{static_version()}/{name}"
