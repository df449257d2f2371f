"""GET /health: the process lives. GET /health/ready: it can do its work. GET /: where everything is."""

from typing import Literal

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from temporalio.client import Client
from temporalio.service import RPCError

from spine.db import head_revision
from spine.errors import ProviderUnavailable
from spine.gateway.auth import services_of
from spine.gateway.services import Services
from spine.views import View

router = APIRouter(tags=["health"])


class Alive(View):
    status: Literal["ok"] = "ok"


class Ready(View):
    """`status`: ready, degraded (Temporal is away: decisions reach workflows later, nothing is lost) or not ready."""

    status: Literal["ready", "degraded", "not ready"]
    database: str
    migrations: str
    temporal: str


class Index(View):
    """The listings take a key; `docs` is the page that explains every call."""

    docs: Literal["/docs"] = "/docs"
    openapi: Literal["/openapi.json"] = "/openapi.json"
    ready: Literal["/health/ready"] = "/health/ready"
    approvals: Literal["/v1/approvals"] = "/v1/approvals"
    events: Literal["/v1/events"] = "/v1/events"
    intents: Literal["/v1/intents"] = "/v1/intents"
    automations: Literal["/v1/automations"] = "/v1/automations"


@router.get("/")
def get_index() -> Index:
    return Index()


@router.get("/health")
def get_health() -> Alive:
    return Alive()


@router.get("/health/ready", response_model=Ready)
def get_ready(request: Request) -> JSONResponse:
    """503 while the database is away or behind this version's migrations."""
    services = services_of(request)
    database, migrations = _database(services)
    temporal = _temporal(services)
    status: Literal["ready", "degraded", "not ready"] = "ready" if temporal == "ok" else "degraded"
    if (database, migrations) != ("ok", "ok"):
        status = "not ready"
    ready = Ready(status=status, database=database, migrations=migrations, temporal=temporal)
    return JSONResponse(ready.model_dump(), status_code=503 if status == "not ready" else 200)


def _database(services: Services) -> tuple[str, str]:
    expected = head_revision()
    try:
        with services.database.tenant(services.settings.tenant) as conn:
            row = conn.execute("select version_num from alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return "ok", "never migrated: `spine up`, or run the migrations"
    except psycopg.OperationalError:
        return "does not answer", "unknown"
    revision = row["version_num"] if row else None
    return "ok", "ok" if revision == expected else f"at {revision!r}, this version expects {expected!r}"


def _temporal(services: Services) -> str:
    if services.temporal is None:
        return "not configured"

    async def ask(client: Client) -> bool:
        return await client.service_client.check_health()

    try:
        return "ok" if services.temporal.run(ask, timeout=2) else "not serving"
    except (ProviderUnavailable, TimeoutError, RPCError):
        return "does not answer"
