"""How a process of the stack ends: it is asked, waited for, told, and at last its whole family is killed."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

import psutil

from spine.stack.orphans import kill_family, lives
from spine.stack.process import Part, Process

_OBEYED = 5.0  # seconds; who is held in the kernel for longer cannot be helped from here


async def terminate(process: asyncio.subprocess.Process, part: Process) -> None:
    """Ask, wait, insist; then end what is left of the group, whoever started it."""
    family = _descendants(process.pid)
    if process.returncode is None:
        requests = [(_ask(process, part), part.stop_timeout)]
        if not isinstance(part.stop, signal.Signals):
            requests.append((_signal(process, signal.SIGTERM), 1.0))  # it did not heed the call
        for request, patience in requests:
            await request()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), patience)
                break
        else:
            kill_family(process.pid, family)
            await process.wait()
    kill_family(process.pid, family)
    await _until_dead(family)


async def _until_dead(family: list[psutil.Process]) -> None:
    """SIGKILL is sent and not yet obeyed: a busy machine takes its time, and the next start must not meet who was killed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_OBEYED):
            while any(lives(process) for process in family):
                await asyncio.sleep(0.01)


def stop_signal_of(part: Part) -> int:
    return int(part.stop) if isinstance(part, Process) and isinstance(part.stop, signal.Signals) else int(signal.SIGTERM)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> Callable[[], Awaitable[None]]:
    async def send() -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    return send


def _ask(process: asyncio.subprocess.Process, part: Process) -> Callable[[], Awaitable[None]]:
    how = part.stop
    if isinstance(how, signal.Signals):
        return _signal(process, how)

    async def call() -> None:
        await asyncio.to_thread(how)

    return call


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
