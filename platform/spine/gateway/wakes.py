"""Waking those who watch the log: one thread and one connection a process listen, however many streams are open.

The thread starts with the first stream and ends after the last. A lost connection is made anew, and everybody is woken then: what
was announced meanwhile is on the log, and a woken reader looks there.
"""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from spine.errors import RateLimited
from spine.eventlog.groups import CHANNEL

STREAMS_A_KEY = 5  # a person's open pages; a program needs one
_LOOK_SECONDS = 1.0  # how often the thread asks whether anybody is left
_AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Wakes:
    """Thread-safe. `watching` is entered on an event loop, the announcements come from the listener's thread."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._lock = threading.Lock()
        self._watchers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._open: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, whose: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something was committed to the log. Raises RateLimited beyond `STREAMS_A_KEY` of one key."""
        woken = asyncio.Event()
        with self._lock:
            if self._open.get(whose, 0) >= STREAMS_A_KEY:
                raise RateLimited(
                    f"{whose!r} has {STREAMS_A_KEY} streams open, which is as many as a key may have: close one, or share one",
                    headers={"Retry-After": "30"},
                )
            self._open[whose] = self._open.get(whose, 0) + 1
            self._watchers[woken] = asyncio.get_running_loop()
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="spine-wakes", daemon=True)
                self._thread.start()
        try:
            yield woken
        finally:
            with self._lock:
                del self._watchers[woken]
                self._open[whose] -= 1
                if not self._open[whose]:
                    del self._open[whose]

    @property
    def streams(self) -> int:
        return len(self._watchers)

    @property
    def listening(self) -> bool:
        return self._thread is not None

    def _listen(self) -> None:
        while self._wanted():
            try:
                with psycopg.connect(self._url, autocommit=True, application_name="spine gateway streams") as conn:
                    conn.execute(f"listen {CHANNEL}")
                    self._wake_all()
                    while self._wanted():
                        for _ in conn.notifies(timeout=_LOOK_SECONDS, stop_after=1):
                            self._wake_all()
            except psycopg.OperationalError as error:
                _log.warning("the database does not announce events (%s): streams look by themselves until it does", type(error).__name__)
                threading.Event().wait(_AGAIN_SECONDS)

    def _wanted(self) -> bool:
        with self._lock:
            if not self._watchers:
                self._thread = None  # under the lock: whoever comes next starts another
            return bool(self._watchers)

    def _wake_all(self) -> None:
        with self._lock:
            for woken, loop in self._watchers.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(woken.set)
