"""GET /console/stream: tells an open page that something of its tenant has changed (server-sent events, by the session's cookie).

Only *that* something changed, never what: the page then asks for itself again, as this person may see it. The session is proved at
every look, so a stream ends with its session. A look is one short transaction every `EVERY` seconds, none is held between looks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from spine.console.session import Visiting
from spine.errors import SpineError

router = APIRouter()

EVERY = 2.0
_LONGEST = 300  # looks; the browser comes back by itself, to whichever gateway answers then
_QUIET = 7  # looks without news before a sign of life, so that no proxy hangs up

_MARK = """
    select (select coalesce(max(position), 0) from audit_log where tenant_id = %(tenant)s)::text as audit,
           (select count(*) from approvals where tenant_id = %(tenant)s and state = 'pending') as waiting
"""


@router.get("/stream")
async def get_stream(visit: Visiting) -> Response:
    def look() -> str:
        with visit.reading() as work:
            row = work.conn.execute(_MARK, {"tenant": work.tenant_id}).fetchone()
            assert row is not None, "two scalars are one row"
            return f"{row['audit']}/{row['waiting']}"

    first = await to_thread.run_sync(look)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(changes(look, first, every=EVERY), media_type="text/event-stream", headers=headers)


async def changes(look: Callable[[], str], seen: str, *, every: float, looks: int = _LONGEST) -> AsyncIterator[str]:
    """`standing` at first, so that whoever comes back knows what was missed; `changed` whenever a look differs from the one before,
    `ended` when the session does; then the stream is over."""
    yield f"retry: 5000\nevent: standing\ndata: {seen}\n\n"
    quiet = 0
    for _ in range(looks):
        await asyncio.sleep(every)
        try:
            found = await to_thread.run_sync(look)
        except SpineError:
            yield "event: ended\ndata: \n\n"
            return
        quiet += 1
        if found != seen:
            seen, quiet = found, 0
            yield f"event: changed\ndata: {found}\n\n"
        elif quiet >= _QUIET:
            quiet = 0
            yield ": here\n\n"
