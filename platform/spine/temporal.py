"""The way to Temporal: one client factory for every process, and a loop of its own for processes that are not asynchronous.

Every client speaks pydantic (trap 23) and carries the trace context through Temporal's headers (trap 24). Clients are made in
the process that uses them, never at import and never before a fork: they are Rust threads and belong to the loop they
connected on (traps 12, 13).
"""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression, RetryConfig

from spine.errors import ProviderUnavailable
from spine.settings import Settings

T = TypeVar("T")

_GRACE = 5.0  # seconds; longer than a loop that works needs to end a call whose time is over

# Registered when the server starts (spine.stack.temporal_server); values are stored in the clear, so nothing personal.
TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
AUTOMATION = SearchAttributeKey.for_keyword("Automation")
CORRELATION_ID = SearchAttributeKey.for_keyword("CorrelationId")


async def connect(address: str, *, namespace: str = "default", patience: timedelta = timedelta(seconds=10), lazy: bool = False) -> Client:
    """A client as all our processes use it; the worker takes its interceptors and converter from it.

    `patience` bounds the SDK's own retries of a call. Raises ProviderUnavailable when the server does not answer.
    """
    try:
        return await Client.connect(
            address,
            namespace=namespace,
            data_converter=pydantic_data_converter,
            plugins=[OpenTelemetryPlugin(add_temporal_spans=True)],
            retry_config=RetryConfig(max_elapsed_time_millis=int(patience.total_seconds() * 1000)),
            # The SDK compresses by default. Payloads are small by rule (drafts travel by reference), so that buys nothing and costs
            # both sides: measured 0.9 ms of the server's and 0.14 ms of our processor time for each start.
            grpc_compression=GrpcCompression.NONE,
            lazy=lazy,
        )
    except RuntimeError as error:  # what the SDK raises when the first connection fails
        raise ProviderUnavailable(f"Temporal at {address!r} does not answer: {error}; is it up (`spine status`)?") from error


class TemporalLoop:
    """One event loop on one thread that owns the client, for callers on other threads.

    The client connects at the first `run`; one that could not is tried again at the next. `close` before the process ends:
    a process that leaves with calls in flight may crash or never exit (trap 34a). Never wait for a workflow's *result* here
    in a short-lived process.
    """

    def __init__(self, make_client: Callable[[], Awaitable[Client]]) -> None:
        self._make_client = make_client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="temporal-loop", daemon=True)
        self._pid = os.getpid()
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._thread.start()

    @classmethod
    def from_settings(cls, settings: Settings, *, patience: timedelta = timedelta(seconds=10)) -> "TemporalLoop":
        address, namespace = settings.require("temporal_address"), settings.temporal_namespace
        return cls(lambda: connect(address, namespace=namespace, patience=patience))

    def run(self, work: Callable[[Client], Coroutine[Any, Any, T]], *, timeout: float | None = None) -> T:
        """What `work(client)` returns or raises, run on the loop's thread. Raises ProviderUnavailable when there is no connection,
        TimeoutError after `timeout` seconds, and RuntimeError in a forked child or after `close`.
        """
        if os.getpid() != self._pid:
            raise RuntimeError("this TemporalLoop was made in the parent process: make one in the process that uses it")
        if self._loop.is_closed() or not self._thread.is_alive():
            raise RuntimeError("this TemporalLoop is closed")
        future: Future[T] = asyncio.run_coroutine_threadsafe(self._with_client(work, timeout), self._loop)
        try:
            return future.result(None if timeout is None else timeout + _GRACE)
        except BaseException:
            future.cancel()  # of no effect on one that is done
            raise

    async def _with_client(self, work: Callable[[Client], Coroutine[Any, Any, T]], timeout: float | None) -> T:
        # The time ends here and not in the waiting thread: the SDK answers a cancelled call with an error of its own, and one that
        # nobody waits for any more would be reported as lost.
        async with asyncio.timeout(timeout):
            async with self._connecting:
                if self._client is None:
                    self._client = await self._make_client()
            return await work(self._client)

    def close(self, *, drain: timedelta = timedelta(seconds=5)) -> None:
        """Let what is in flight end within `drain`, cancel the rest, let go of the client and stop the thread. Repeatable."""
        if self._loop.is_closed():
            return
        if os.getpid() == self._pid and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._drain(drain), self._loop).result(drain.total_seconds() + 5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        self._loop.close()
        # The client's Rust side drops its tasks a moment after Python drops the client; leaving sooner is what crashes.
        gc.collect()
        time.sleep(0.2)

    async def _drain(self, patience: timedelta) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, late = await asyncio.wait(others, timeout=patience.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._client = None
