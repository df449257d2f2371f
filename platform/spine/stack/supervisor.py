"""A small asyncio supervisor: parts in dependency order, kept alive, stopped in reverse, nothing left behind.

Why our own: of the ready-made ones one tears everything down when a child dies, one blocks while it starts, none knows health
(measured). Guarantees: a part starts when those it comes `after` are ready; ready means that *its own* process listens on its ports
and answers its probe, so a stale server cannot pass for it; a process that dies is started again with backoff; `stop` ends each part
after everything that came after it, and then whatever is left of its process group. Every process is written down in
`processes.json` with its start time, so that after a `kill -9` of the supervisor itself the next command finds the orphans.
Limit: a process that lives but no longer answers is not restarted; `spine doctor` names it.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, assert_never

import psutil

from spine.errors import Misconfigured
from spine.stack.ending import stop_signal_of, terminate
from spine.stack.orphans import PROCESSES_FILE, kill_family, write_private
from spine.stack.ports import is_listening
from spine.stack.process import Change, Elsewhere, Part, Process, StackFailed, State

_LOG_LIMIT = 20_000_000  # bytes; a log that is larger at start moves aside, and one such is kept
_HEALTHY_AFTER = 30.0  # seconds of life after which the next death is a first one again
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0)  # seconds before start number 2, 3, … in a row


class _Runner:
    """What the supervisor knows about one part."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.state = State.WAITING
        self.note = ""
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None
        self.born = 0.0
        self.restarts = 0
        self.restart_at_once = False


class Supervisor:
    """Runs `parts` until `stop`. One event loop owns it; `report` is called on that loop for every change of state."""

    def __init__(self, parts: Iterable[Part], *, home: Path, report: Callable[[Change], None] = lambda _change: None) -> None:
        self._home = home
        self._report = report
        self._runners = {part.name: _Runner(part) for part in parts}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        for runner in self._runners.values():
            if unknown := [name for name in runner.part.after if name not in self._runners]:
                raise Misconfigured(f"part {runner.part.name!r} comes after {unknown!r}, which are not parts of this stack")

    @property
    def pids(self) -> dict[str, int]:
        return {name: r.process.pid for name, r in self._runners.items() if r.process and r.process.returncode is None}

    async def start(self) -> None:
        """Returns when every part is ready. Raises StackFailed for the first that is not; then `stop` is due, as always."""
        (self._home / "logs").mkdir(parents=True, exist_ok=True)
        for name, runner in self._runners.items():
            self._keepers[name] = asyncio.create_task(self._keep(runner), name=f"part {name}")
        everything: asyncio.Future[Any] = asyncio.gather(*(runner.ready.wait() for runner in self._runners.values()))
        try:
            while not everything.done():
                alive: list[asyncio.Future[Any]] = [keeper for keeper in self._keepers.values() if not keeper.done()]
                await asyncio.wait([everything, *alive], return_when=asyncio.FIRST_COMPLETED)
                self._raise_failures()
        finally:
            everything.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await everything

    async def watch(self) -> None:
        """Never returns; raises when a part can no longer be kept (its program is gone, its files cannot be prepared)."""
        while True:
            alive = [keeper for keeper in self._keepers.values() if not keeper.done()]
            await asyncio.wait(alive or [asyncio.create_task(asyncio.sleep(3600))], return_when=asyncio.FIRST_COMPLETED)
            self._raise_failures()

    def _raise_failures(self) -> None:
        for keeper in self._keepers.values():
            if keeper.done() and not keeper.cancelled():
                keeper.result()

    async def stop(self) -> None:
        """End every part, dependents first. Safe to call at any time, also during `start`, and twice."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        dependents: dict[str, list[str]] = {name: [] for name in self._runners}
        for name, runner in self._runners.items():
            for earlier in runner.part.after:
                dependents[earlier].append(name)

        async def end(name: str) -> None:
            runner = self._runners[name]
            for later in dependents[name]:
                await self._runners[later].stopped.wait()
            if runner.process is not None:
                await _end(runner)
                if runner.state is not State.DONE:
                    self._change(runner, State.STOPPED)
            runner.stopped.set()

        await asyncio.gather(*(end(name) for name in self._runners))
        (self._home / PROCESSES_FILE).unlink(missing_ok=True)

    async def restart(self, name: str) -> None:
        """Stop one part as `stop` would, and return when it is ready again."""
        runner = self._running(name)
        runner.ready.clear()
        runner.restart_at_once = True
        await _end(runner)
        await self.wait_ready(name)

    async def kill(self, name: str) -> int:
        """`kill -9`, for tests of what survives one: returns the pid once it is dead. `wait_ready` waits for the next."""
        runner = self._running(name)
        assert runner.process is not None
        process, pid = runner.process, runner.process.pid
        runner.ready.clear()
        process.kill()
        await process.wait()
        return pid

    async def wait_ready(self, name: str, timeout: float = 60.0) -> None:
        await asyncio.wait_for(self._runners[name].ready.wait(), timeout)

    def _running(self, name: str) -> _Runner:
        runner = self._runners.get(name)
        if runner is None or runner.process is None or runner.process.returncode is not None:
            raise Misconfigured(f"no process {name!r} runs in this stack: there are {sorted(self.pids)!r}")
        return runner

    async def _keep(self, runner: _Runner) -> None:
        part = runner.part
        for name in part.after:
            await self._runners[name].ready.wait()
        runner.born = time.monotonic()
        match part:
            case Elsewhere():
                await self._wait_for_elsewhere(runner, part)
            case Process():
                await self._spawn_until_ready(runner, part)
                while not part.once:
                    await self._watch(runner, part)
            case _:
                assert_never(part)

    async def _wait_for_elsewhere(self, runner: _Runner, part: Elsewhere) -> None:
        deadline = runner.born + part.start_timeout
        while not await asyncio.to_thread(part.ready):
            if time.monotonic() > deadline:
                self._change(runner, State.FAILED)
                raise StackFailed(f"{part.name} at {part.address!r} does not answer: check the address, or unset it to run one here")
            await asyncio.sleep(0.5)
        runner.ready.set()
        self._change(runner, State.ELSEWHERE, part.address)

    async def _watch(self, runner: _Runner, part: Process) -> None:
        """One life after the first: wait for the death, pause, start again until it holds."""
        assert runner.process is not None
        code = await runner.process.wait()
        runner.ready.clear()
        kill_family(runner.process.pid)
        failures = 0 if time.monotonic() - runner.born > _HEALTHY_AFTER else runner.restarts
        while True:
            runner.restarts += 1
            pause = 0.0 if runner.restart_at_once else _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            ended = f"signal {-code}" if code < 0 else f"exit code {code}"
            self._change(runner, State.RESTARTING, "" if runner.restart_at_once else f"ended by {ended}; again in {pause:g} s")
            runner.restart_at_once = False
            await asyncio.sleep(pause)
            runner.born = time.monotonic()
            try:
                return await self._spawn_until_ready(runner, part)
            except StackFailed:
                failures += 1
                assert runner.process is not None
                await _end(runner)
                code = runner.process.returncode or 0

    async def _spawn_until_ready(self, runner: _Runner, part: Process) -> None:
        self._change(runner, State.STARTING)
        command = await asyncio.to_thread(part.command)
        with open(_log(self._home, part.name), "ab") as log:
            log.write(f"--- {time.strftime('%Y-%m-%dT%H:%M:%S%z')} {' '.join(map(str, command[:6]))}\n".encode())
            log.flush()
            runner.process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **part.environment},
                **part.options,
            )
        self._write_processes()
        process = runner.process
        deadline = runner.born + part.start_timeout
        if part.once:
            note: bool | str = await self._finish(runner, part, deadline)
        else:
            while not (note := await asyncio.to_thread(_is_ready, part, process.pid)):
                if process.returncode is not None:
                    raise self._failed(runner, f"ended with {process.returncode} before it was ready")
                if time.monotonic() > deadline:
                    raise self._failed(runner, f"was not ready after {part.start_timeout:g} s")
                await asyncio.sleep(0.08)
        if part.settle:
            await asyncio.to_thread(part.settle)
        runner.ready.set()
        self._change(runner, State.DONE if part.once else State.READY, note if isinstance(note, str) else "")

    async def _finish(self, runner: _Runner, part: Process, deadline: float) -> bool:
        assert runner.process is not None
        try:
            code = await asyncio.wait_for(runner.process.wait(), deadline - time.monotonic())
        except TimeoutError:
            raise self._failed(runner, f"was not done after {part.start_timeout:g} s") from None
        if code:
            raise self._failed(runner, f"ended with {code}")
        return True

    def _failed(self, runner: _Runner, why: str) -> StackFailed:
        self._change(runner, State.FAILED, why)
        log = _log(self._home, runner.part.name)
        tail = log.read_text(errors="replace").rpartition("--- ")[2].splitlines()[1:][-12:]
        return StackFailed("\n".join([f"{runner.part.name} {why}; the end of {str(log)!r}:", *(f"  {line}" for line in tail)]))

    def _change(self, runner: _Runner, state: State, note: str = "") -> None:
        runner.state, runner.note = state, note
        if state is not State.STOPPED:
            self._write_processes()
        seconds = time.monotonic() - runner.born if runner.born else 0.0
        self._report(Change(part=runner.part.name, state=state, seconds=seconds, note=note))

    def _write_processes(self) -> None:
        rows = []
        for name, runner in self._runners.items():
            row: dict[str, Any] = {"name": name, "state": runner.state, "note": runner.note, "restarts": runner.restarts}
            row |= {"address": runner.part.address, "after": runner.part.after}
            if runner.process is not None:
                row |= {"pid": runner.process.pid, "signal": stop_signal_of(runner.part)}
                with contextlib.suppress(psutil.Error):
                    row["created"] = psutil.Process(runner.process.pid).create_time()
            rows.append(row)
        write_private(self._home / PROCESSES_FILE, json.dumps(rows, indent=1))


async def _end(runner: _Runner) -> None:
    assert runner.process is not None
    assert isinstance(runner.part, Process)
    await terminate(runner.process, runner.part)


def _is_ready(part: Process, pid: int) -> bool | str:
    if not all(is_listening(pid, port) for port in part.ports):
        return False
    return part.ready(pid)


def _log(home: Path, name: str) -> Path:
    path = home / "logs" / f"{name}.log"
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path
