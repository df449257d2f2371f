"""What the supervisor runs, and what it says about it."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spine.errors import SpineError


class State(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    ELSEWHERE = "elsewhere"
    RESTARTING = "restarting"
    STOPPED = "stopped"
    FAILED = "failed"


class StackFailed(SpineError):
    """A part did not start; the message has the end of its log."""

    code = "stack-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One child process. `once` marks a step that must end with 0 before the others go on, such as a migration."""

    name: str
    command: Callable[[], Sequence[str]]  # called before every start, in a thread: the place to prepare files
    after: tuple[str, ...] = ()
    once: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)  # more arguments of create_subprocess_exec (cwd, user)
    ports: tuple[int, ...] = ()
    address: str = ""
    ready: Callable[[int], bool | str] = lambda _pid: True  # in a thread; a text is ready too, and is shown
    settle: Callable[[], None] | None = None  # in a thread, after each start, before dependents go on
    stop: signal.Signals | Callable[[], object] = signal.SIGTERM
    start_timeout: float = 90.0  # seconds
    stop_timeout: float = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A part that an address in the environment stands for: not started, but waited for."""

    name: str
    address: str
    ready: Callable[[], bool]
    after: tuple[str, ...] = ()
    start_timeout: float = 30.0


Part = Process | Elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    part: str
    state: State
    seconds: float  # since this part began to start
    note: str = ""
