"""The application: routes, problems, tracing and the life of the services."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI

from spine import console
from spine.db import CONNECTIONS
from spine.gateway import docs, openapi, problems
from spine.gateway.limits import BodyLimit
from spine.gateway.routes import (
    approvals,
    approvers,
    audit,
    automations,
    budgets,
    dead_letters,
    endpoints,
    events,
    health,
    intents,
    journeys,
    outcomes,
    policy,
    stream,
    switches,
    tasks,
    webhooks,
)
from spine.gateway.services import Services
from spine.gateway.tracing import Tracing
from spine.gateway.wakes import Wakes

_DESCRIPTION = """
Tasks, events, approvals and webhooks of the spine. `Authorization: Bearer sk.…` chooses the tenant. Every unsafe call takes an
`Idempotency-Key`; errors are RFC 9457 problems of type `urn:spine:problem:<code>`.
"""

_ROUTES = (
    *(tasks, events, webhooks, approvals, intents, journeys, automations),
    *(policy, switches, outcomes, budgets, dead_letters, audit, approvers, endpoints, stream),
)


def create_app(services: Services) -> FastAPI:
    """An application that uses `services` and closes them when it ends. Nothing is connected here."""

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        # For `asyncio.to_thread`: as many as there are connections, since each of them holds one.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(CONNECTIONS, "task"))
        yield
        await anyio.to_thread.run_sync(services.close)

    app = FastAPI(
        title="The spine",
        version=version("spine"),
        description=_DESCRIPTION,
        lifespan=life,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere; see spine.gateway.docs
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # spine.gateway.tracing has the one span a request is
        generate_unique_id_function=lambda route: route.name,  # our functions are named for what they do
    )
    app.state.services = services
    app.state.wakes = Wakes(services.database.app_url)  # listens while a stream is open
    app.add_middleware(BodyLimit)
    app.add_middleware(Tracing)  # the outermost: a refusal has a trace too
    problems.install(app)
    for routes in _ROUTES:
        app.include_router(routes.router, prefix="/v1")
    app.include_router(health.router)
    console.install(app)
    openapi.describe(app)
    docs.install(app)
    return app
