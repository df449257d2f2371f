"""A running stack: held by one process, written down in `stack.json`, usable as a context manager.

async with Stack.start(home, Options(ports="auto", providers=True)) as stack:
    stack.environment["SPINE_DATABASE_URL"], stack.addresses["gateway"], stack.pids["worker"]
    await stack.kill("worker")          # kill -9
    await stack.wait_ready("worker")    # its successor
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from spine.clock import BusinessClock
from spine.settings import STACK_FILE
from spine.stack.options import Options
from spine.stack.orphans import end_orphans, lock, write_private
from spine.stack.parts import Plan, plan, refuse_taken_ports
from spine.stack.process import Change, State
from spine.stack.secret_files import keep_secret, read_secret
from spine.stack.supervisor import Supervisor

T = TypeVar("T")
Report = Callable[[Change], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What a caller needs of a running stack. `restart`, `kill` and `wait_ready` are the supervisor's."""

    home: Path
    environment: Mapping[str, str]
    addresses: Mapping[str, str]
    new_api_keys: Mapping[str, str]  # role → key, only when this start made them: show them once
    _supervisor: Supervisor = field(repr=False)

    @property
    def pids(self) -> dict[str, int]:
        """The processes that are alive now, by part."""
        return self._supervisor.pids

    async def restart(self, name: str) -> None:
        await self._supervisor.restart(name)

    async def kill(self, name: str) -> int:
        return await self._supervisor.kill(name)

    async def wait_ready(self, name: str, timeout: float = 60.0) -> None:
        await self._supervisor.wait_ready(name, timeout)

    async def watch(self) -> None:
        await self._supervisor.watch()

    @classmethod
    @asynccontextmanager
    async def start(cls, home: Path, options: Options | None = None, report: Report = lambda _change: None) -> AsyncIterator["Stack"]:
        """Start everything, hand it over when it is ready, and end everything on the way out, whatever the way.

        Raises AlreadyRunning if the home is held, Misconfigured for occupied ports and the like, StackFailed if a part does not start.
        """
        home = home.absolute()
        with contextlib.closing(lock(home)):
            for name in end_orphans(home):
                report(Change(part=name, state=State.STOPPED, seconds=0, note="was left behind by a stack that was killed"))
            (home / STACK_FILE).unlink(missing_ok=True)  # of a stack that was killed; its addresses lead nowhere
            planned = plan(home, options or Options())
            refuse_taken_ports(planned.parts)
            supervisor = Supervisor(planned.parts, home=home, report=report)
            environment = dict(planned.environment)
            try:
                _write(home, planned, environment, state="starting")
                await supervisor.start()
                keys = await asyncio.to_thread(_development_keys, home, environment, planned.tenant)
                _write(home, planned, environment, state="ready")
                yield cls(home=home, environment=environment, addresses=planned.addresses, new_api_keys=keys, _supervisor=supervisor)
            finally:
                await asyncio.shield(supervisor.stop())
                (home / STACK_FILE).unlink(missing_ok=True)


async def interruptible(work: Coroutine[Any, Any, T]) -> T | None:
    """Run `work`; on SIGINT, SIGTERM or SIGHUP cancel it, let it clean up, and return None. Further signals do not disturb that."""
    task = asyncio.create_task(work)
    interrupted = asyncio.Event()

    def interrupt() -> None:
        if not interrupted.is_set():
            interrupted.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted.is_set():
            return None
        raise


async def run_stack(home: Path, options: Options, report: Report, ready: Callable[[Stack], None]) -> None:
    """What `spine up` does: start, call `ready` once, run until a signal or until a part cannot be kept (which raises)."""

    async def serve() -> None:
        async with Stack.start(home, options, report) as stack:
            ready(stack)
            await stack.watch()

    await interruptible(serve())


def _development_keys(home: Path, environment: dict[str, str], tenant: str) -> Mapping[str, str]:
    """Keys for a tenant that never had any: role → key, empty ever after. The admin's is kept for the command line."""
    # Here and not above: with Alembic they cost every `spine status` 0.7 s.
    from spine.db import Database
    from spine.directory import put_development_people
    from spine.identity import ensure_development_keys

    with Database(environment["SPINE_DATABASE_URL"]) as database:
        keys = {role.value: key for role, key in ensure_development_keys(database, tenant).items()}
        if keys:
            put_development_people(database, tenant, BusinessClock.parse(environment["SPINE_CLOCK"]))
    if keys:
        keep_secret(home, f"api-key-{tenant}", keys["admin"])
    if kept := read_secret(home, f"api-key-{tenant}"):
        environment.setdefault("SPINE_API_KEY", kept)
    return keys


def _write(home: Path, planned: Plan, environment: Mapping[str, str], *, state: str) -> None:
    parts = [{"name": part.name, "address": part.address, "log": str(home / "logs" / f"{part.name}.log")} for part in planned.parts]
    content = {
        "state": state,
        "pid": os.getpid(),
        "started_at": datetime.now(UTC).isoformat(),
        "parts": parts,
        "addresses": dict(planned.addresses),
    }
    write_private(home / STACK_FILE, json.dumps({**content, "environment": dict(environment)}, indent=1))
