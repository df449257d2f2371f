"""The operator's console: server-rendered pages on the gateway, under /console.

An application of its own inside the gateway's: its errors are pages, its answers carry a content-security policy, and its
addresses stay out of the OpenAPI document. A page module has `router: APIRouter` with paths below /console and stands in `_PAGES`.
It works without JavaScript; `static/console.js` only makes it quicker to the hand.
"""

from fastapi import APIRouter, FastAPI
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from spine.console import (
    approval,
    audit,
    automations,
    budgets,
    dead_letter,
    dead_letters,
    entrance,
    inbox,
    intents,
    journeys,
    live,
    provider,
    refusals,
    static_files,
)
from spine.console.guard import Guard

# The first that fits is taken: /dead-letters/all is none whose id is "all".
_PAGES = (
    inbox,
    approval,
    journeys,
    intents,
    automations,
    dead_letters,
    dead_letter,
    budgets,
    audit,
    live,
    provider,
    entrance,
    static_files,
)

_ENDLESS = frozenset({"/stream"})  # an answer without end has no head to wait for


def install(app: FastAPI) -> None:
    """Add the pages to the gateway's application, outside its OpenAPI document."""
    console = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    console.state.services = app.state.services
    console.state.attempts = entrance.Attempts()
    console.add_middleware(Guard)
    refusals.install(console)
    for module in _PAGES:
        _answer_heads(module.router)
        console.include_router(module.router)

    @app.get("/console", include_in_schema=False)
    def get_console() -> Response:
        return RedirectResponse("/console/", status_code=307)

    app.mount("/console", console)


def _answer_heads(router: APIRouter) -> None:
    """RFC 9110 §9.1: what may be got may be asked for its head, which FastAPI leaves out. The server sends no body with it."""
    for route in router.routes:
        if isinstance(route, APIRoute) and route.methods and "GET" in route.methods and route.path not in _ENDLESS:
            route.methods.add("HEAD")
