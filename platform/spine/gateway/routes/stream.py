"""GET /v1/stream: what happens in the caller's tenant, as it happens, as server-sent events."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Annotated

import psycopg
from anyio import to_thread
from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Scope, Send

from spine import eventlog
from spine.errors import SpineError
from spine.eventlog import Place, Recorded
from spine.gateway.auth import Visit, Visiting
from spine.gateway.wakes import Wakes

router = APIRouter(tags=["stream"])

HEARTBEAT_SECONDS = 15.0
PROOF_SECONDS = 30.0  # a revoked key's stream ends within this and a look
HELD_BACK_SECONDS = 0.2  # how soon to look again at what is committed and not yet safe to show
_BATCH = 200

_log = logging.getLogger(__name__)

_EXAMPLE = (
    "id: 7401.38\nevent: spine.approval.requested.v1\n"
    'data: {"type": "spine.approval.requested.v1", "subject": "0198…", "correlation_id": "flow-9", "time": "2026-11-22T12:00:00Z"}\n\n'
)


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}}},
)
async def get_stream(
    request: Request,
    visit: Visiting,
    last_event_id: Annotated[str | None, Header(max_length=40, description="`id` of the last event seen: go on after it")] = None,
) -> StreamingResponse:
    """Each event of the tenant from now on, or after `Last-Event-ID`: its type, subject, correlation id and time, without its data.

    Nothing is lost between two connections: an `id` is a place in the log. A comment comes every 15 seconds. The stream ends when the
    key is revoked, and when nobody can say whether it still holds (`: ended` and the code of the problem): come back after the last
    `id`, and the answer is the stream or the problem in full. A key may have five of them.
    """
    wakes: Wakes = request.app.state.wakes
    after = None if last_event_id is None else Place.parse(last_event_id)
    begins, tenant_id, person = await to_thread.run_sync(_begin, visit, after)
    watching = wakes.watching(f"{tenant_id}/{person}")
    woken = watching.__enter__()  # before the answer begins: one stream too many is a problem, not a broken stream
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Watched(_told(visit, tenant_id, begins, woken), watching, headers)


class _Watched(StreamingResponse):
    """Ends the watching with the answer, also with one that ended before its first part: of that, no generator hears."""

    def __init__(self, told: AsyncIterator[bytes], watching: AbstractContextManager[asyncio.Event], headers: dict[str, str]) -> None:
        super().__init__(told, media_type="text/event-stream", headers=headers)
        self._watching = watching

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as leaving:
            leaving.push(self._watching)
            await super().__call__(scope, receive, send)


def _begin(visit: Visit, after: Place | None) -> tuple[Place, str, str]:
    with visit.reading() as work:
        if after is None:
            newest = eventlog.latest(work.conn, tenant_id=work.tenant_id, limit=1)
            after = newest[-1].place if newest else Place()
        return after, work.tenant_id, work.principal.id


async def _told(visit: Visit, tenant_id: str, place: Place, woken: asyncio.Event) -> AsyncIterator[bytes]:
    """Looks are short transactions in a thread; while it waits it holds nothing but its place."""
    proved = said = time.monotonic()
    yield format_sse_event(comment="here", retry=2000)
    while True:
        woken.clear()  # before the look: what is announced during it is looked at next
        try:
            found, held_back = await to_thread.run_sync(_look, visit, tenant_id, place)
        except psycopg.OperationalError as error:
            yield _ended("unavailable", error)
            return
        for recorded in found:
            place = recorded.place
            yield _written(recorded)
        now = time.monotonic()
        if found or now - said >= HEARTBEAT_SECONDS:
            if not found:
                yield format_sse_event(comment="here")
            said = now
        if now - proved >= PROOF_SECONDS:
            if (why := await to_thread.run_sync(_refusal, visit)) is not None:
                yield why
                return
            proved = now
        if len(found) == _BATCH:
            continue
        patience = HELD_BACK_SECONDS if held_back else min(HEARTBEAT_SECONDS - (now - said), PROOF_SECONDS - (now - proved))
        with suppress(TimeoutError):  # then it is time for a sign of life, a proof, or another look at what was held back
            await asyncio.wait_for(woken.wait(), timeout=max(patience, 0.01))


def _look(visit: Visit, tenant_id: str, place: Place) -> tuple[list[Recorded], bool]:
    """What is new, and whether there is more that an older transaction still holds back."""
    with visit.services.database.tenant(tenant_id) as conn:
        found = eventlog.read(conn, tenant_id=tenant_id, after=place, limit=_BATCH)
        reached = found[-1].place if found else place
        row = conn.execute(
            "select exists (select from events where tenant_id = %s and (xid, position) > (%s::text::xid8, %s)) as more",
            (tenant_id, str(reached.xid), reached.position),
        ).fetchone()
    return found, bool(row and row["more"])


def _refusal(visit: Visit) -> bytes | None:
    """None while the credential holds. A stream goes on for nobody who is not proved: also when the issuer or the database is away,
    and when the key has used up its calls."""
    try:
        with visit.reading():
            return None
    except SpineError as error:
        return _ended(error.code, error)
    except psycopg.OperationalError as error:
        return _ended("unavailable", error)


def _ended(code: str, error: Exception) -> bytes:
    """The last thing that a stream says; its status was sent long ago."""
    _log.info("a stream ends (%s): %s", code, type(error).__name__)
    return format_sse_event(comment=f"ended {code}")


def _written(recorded: Recorded) -> bytes:
    envelope = recorded.envelope
    data = {"type": envelope.type, "subject": envelope.subject, "correlation_id": envelope.correlationid, "time": envelope.time.isoformat()}
    return format_sse_event(data_str=json.dumps(data, ensure_ascii=False), event=envelope.type, id=str(recorded.place))
