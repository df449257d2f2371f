"""Signs of life while a node waits for a model."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta


@contextmanager
def beating(heartbeat: Callable[[], None], *, every: timedelta, until: float) -> Iterator[Callable[[], None]]:
    """Call `heartbeat` each `every` from a thread, in a copy of the caller's context, as long as the block runs.

    The thread stops at `until` (monotonic seconds): a node that hangs is then missed by whoever listens. Yields a function for
    the block to call between nodes; it beats too, and raises what an earlier beat raised, so that a cancellation ends the run.
    """
    stop = threading.Event()
    raised: list[BaseException] = []

    def pulse() -> None:
        while not stop.wait(every.total_seconds()) and time.monotonic() < until:
            try:
                heartbeat()
            except BaseException as error:  # noqa: BLE001 - raised again in the block, which is where it can be handled
                raised.append(error)
                return

    def beat() -> None:
        if raised:
            raise raised[0]
        heartbeat()

    thread = threading.Thread(target=copy_context().run, args=(pulse,), name="graph-heartbeat", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        stop.set()
        thread.join()
