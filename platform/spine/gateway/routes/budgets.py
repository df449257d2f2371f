"""Budgets: what is reserved, spent and left, and how much it may be."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from spine import budgets
from spine.audit import Actor
from spine.budgets.views import BudgetView
from spine.errors import InvalidInput
from spine.gateway import bodies
from spine.gateway.auth import Visiting, Work, answered
from spine.gateway.bodies import Body
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.paging import page_of, place_of
from spine.views import View

router = APIRouter(tags=["budgets"])

BudgetName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="a scope (tenant-day, tenant-month, automation-day, automation-month, run), with :AUTOMATION where one is meant",
        examples=["automation-day:outreach-sequence"],
    ),
]


class BudgetQuery(bodies.Query):
    pass


class Budgets(View):
    """`next` is None on the last page."""

    items: tuple[BudgetView, ...]
    next: str | None


class LimitBody(Body):
    tokens: Annotated[int, Field(ge=0, le=10**15)] | None = Field(default=None, description="left out: not limited in tokens")
    money: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,10})(\.[0-9]{1,6})?$")] | None = Field(
        default=None, description="a decimal string; left out: not limited in money", examples=["50.00"]
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"


class LimitAnswer(View):
    """What holds from now on."""

    budget: str
    tokens: int | None
    money: str | None
    currency: str | None


@router.get("/budgets")
def get_budgets(query: Annotated[BudgetQuery, Query()], visit: Visiting) -> Budgets:
    """Today's and this month's, runs of the last week that are under way or came near a limit, and limits not yet used."""
    after = place_of(query.cursor, str, str, str) if query.cursor else None
    with visit.reading() as work:
        found = budgets.listing(work.conn, work.tenant_id, work.services.clock.now(), zone=work.services.settings.timezone)
    rest = [book for book in found if after is None or (book.scope.value, book.automation, book.period) > after]
    page = page_of(rest[: query.limit + 1], query.limit, lambda book: (book.scope.value, book.automation, book.period))
    return Budgets(items=tuple(BudgetView.of(book) for book in page.items), next=page.next)


@router.put("/budgets/{budget}", response_model=LimitAnswer)
def put_budget(budget: BudgetName, body: LimitBody, visit: Visiting) -> JSONResponse:
    """Limit it, from now on and for what its current period has taken already. Takes an admin."""
    scope, automation = budgets.scope_of(budget)
    if body.tokens is None and body.money is None:
        raise InvalidInput(f"budget {budget!r} limits nothing: give 'tokens', 'money', or both; DELETE lifts it")

    def limit(work: Work) -> Answer:
        budgets.set_limit(
            work.conn,
            tenant_id=work.tenant_id,
            scope=scope,
            automation=automation,
            tokens=body.tokens,
            money=None if body.money is None else Decimal(body.money),
            currency=body.currency,
            actor=Actor(work.principal.actor_type, work.principal.id),
            now=work.services.clock.now(),
            zone=work.services.settings.timezone,
        )
        shown = LimitAnswer(budget=budget, tokens=body.tokens, money=body.money, currency=body.currency if body.money else None)
        return Answer(status=200, body=shown.model_dump(mode="json"))

    return answered(visit.once(Role.ADMIN, body.model_dump(mode="json"), limit))


@router.delete("/budgets/{budget}", response_model=LimitAnswer)
def delete_budget(budget: BudgetName, visit: Visiting) -> JSONResponse:
    """Lift the limit. What a run may take is then what its automation declares. Takes an admin."""
    scope, automation = budgets.scope_of(budget)

    def lift(work: Work) -> Answer:
        budgets.remove_limit(
            work.conn,
            tenant_id=work.tenant_id,
            scope=scope,
            automation=automation,
            actor=Actor(work.principal.actor_type, work.principal.id),
            now=work.services.clock.now(),
        )
        return Answer(status=200, body=LimitAnswer(budget=budget, tokens=None, money=None, currency=None).model_dump(mode="json"))

    return answered(visit.once(Role.ADMIN, {}, lift))
