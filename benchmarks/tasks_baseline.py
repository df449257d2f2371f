"""What `POST /v1/tasks` is measured against: the plainest honest FastAPI endpoint that puts one row into the same PostgreSQL.

    .venv/bin/python -m benchmarks.tasks_baseline PORT DATABASE_URL

A pydantic body of the same fields, a pooled connection, one insert in a transaction with its commit, a typed answer; served by uvicorn
with the gateway's own settings. No credential, no gate, no audit, no idempotency, no trace.
"""

import sys
from typing import Any
from uuid import UUID, uuid4

import uvicorn
from fastapi import FastAPI, Response
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

TABLE = """
create table if not exists plain_tasks (
    task_id uuid primary key, automation text not null, key text, payload jsonb not null, correlation_id text,
    created_at timestamptz not null default now()
)
"""


class PlainTask(BaseModel):
    tenant_id: str | None = None
    automation: str
    key: str | None = None
    payload: dict[str, Any] = {}
    correlation_id: str | None = None


class PlainAnswer(BaseModel):
    task_id: UUID
    automation: str
    key: str | None
    correlation_id: str | None


def application(database_url: str) -> FastAPI:
    app = FastAPI()
    pool = ConnectionPool(database_url, min_size=1, max_size=16, open=True, kwargs={"row_factory": dict_row})

    @app.post("/tasks", status_code=202)
    def post_task(body: PlainTask, response: Response) -> PlainAnswer:
        task_id = uuid4()
        with pool.connection() as conn:
            conn.execute(
                "insert into plain_tasks (task_id, automation, key, payload, correlation_id) values (%s, %s, %s, %s, %s)",
                (task_id, body.automation, body.key, Jsonb(body.payload), body.correlation_id),
            )
        response.headers["Location"] = f"/tasks/{task_id}"
        return PlainAnswer(task_id=task_id, automation=body.automation, key=body.key, correlation_id=body.correlation_id)

    @app.get("/health")
    def get_health() -> dict[str, str]:
        return {"status": "ok"}

    return app


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False)
