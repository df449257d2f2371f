"""What may be spent, what is set aside for what is under way, and what is gone."""

from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spine import budgets
from spine.budgets import Book, Scope
from spine.console.listing import show
from spine.console.session import Visiting
from spine.console.words import say
from spine.journey import workflow_url

router = APIRouter()

GROUPS = (
    ("tenant", say("The company"), (Scope.TENANT_DAY, Scope.TENANT_MONTH)),
    ("automations", say("Each automation"), (Scope.AUTOMATION_DAY, Scope.AUTOMATION_MONTH)),
    ("runs", say("Single runs"), (Scope.RUN,)),
)
PERIODS = {
    Scope.TENANT_DAY: say("today"),
    Scope.TENANT_MONTH: say("this month"),
    Scope.AUTOMATION_DAY: say("today"),
    Scope.AUTOMATION_MONTH: say("this month"),
    Scope.RUN: say("this run"),
}


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    title: str
    books: tuple[Book, ...]


def grouped(books: Iterable[Book]) -> list[Group]:
    """By whose money it is; within a group what is nearest to its limit first. A group without books is left out."""
    known = list(books)
    made = [
        Group(name, title, tuple(sorted((book for book in known if book.scope in scopes), key=lambda book: (-book.percent, book.name))))
        for name, title, scopes in GROUPS
    ]
    return [group for group in made if group.books]


@router.get("/budgets")
def get_budgets(request: Request, visit: Visiting) -> Response:
    services = visit.services
    with visit.reading() as work:
        books = budgets.listing(work.conn, work.tenant_id, services.clock.now(), zone=services.settings.timezone)
        held = budgets.held(work.conn, tenant_id=work.tenant_id)
    return show(
        request,
        work.visitor,
        "budgets.html",
        groups=grouped(books),
        held=held,
        periods=PERIODS,
        workflow_page=lambda workflow_id: workflow_url(services.settings, workflow_id),
    )
