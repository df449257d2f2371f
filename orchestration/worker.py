"""The Temporal worker: `python -m orchestration.worker`. This page is its composition root.

Workflow code runs in Temporal's sandbox. Worker versioning is off on purpose: a pinned workflow on a worker without a deployment
hangs (its tasks are refused), a version has to be made current by hand after each start, and the stack of one machine has one
worker. Changes of workflow code are guarded by `workflow.patched` and by replaying recorded histories in the tests instead;
a production cluster sets `deployment_config` here, with its own build ids.
"""

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from orchestration.dead_letters import DeadLetters
from orchestration.failures import FAILS_THE_WORKFLOW
from orchestration.governed.activities import GovernedActivities
from orchestration.graphs import GraphRunner
from orchestration.queues import COMMITMENTS
from orchestration.workflows.contract_signature.activities import SignatureActivities
from orchestration.workflows.contract_signature.workflow import ContractSignature
from orchestration.workflows.outreach_sequence.activities import OutreachActivities
from orchestration.workflows.outreach_sequence.workflow import OutreachSequence
from spine.budgets import books_by_run
from spine.db import Database
from spine.effects import Connector, Effects
from spine.errors import SpineError
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.settings import Settings
from spine.telemetry import setup_logging, setup_telemetry, shutdown
from spine.temporal import connect

WORKFLOWS: tuple[type[Any], ...] = (OutreachSequence, ContractSignature)

_ACTIVITIES_AT_ONCE = 32
_BOOKKEEPING_AT_ONCE = 16
THREADS = _ACTIVITIES_AT_ONCE + _BOOKKEEPING_AT_ONCE
_CONNECTIONS = 24  # fewer than threads: most wait for a provider, not for the database
_TIME_TO_FINISH = timedelta(seconds=10)

logger = logging.getLogger(__name__)


def main() -> None:
    settings = Settings.load()
    setup_logging("worker")
    setup_telemetry("spine-worker", settings)
    try:
        asyncio.run(serve(settings))
    except SpineError as error:
        sys.exit(f"{error.code}: {error}")
    finally:
        shutdown()
        # The client's Rust side drops its tasks a moment after Python drops the client; leaving sooner may crash (trap 34a).
        gc.collect()
        time.sleep(0.2)


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what is under way within ten seconds. Raises Misconfigured at the start only."""
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    registry, policy, clock = Registry.load(), PolicyTable.load(zone=settings.timezone), settings.business_clock()
    with Database.from_settings(settings, max_size=_CONNECTIONS) as database, connectors_of(registry, settings) as connectors:
        limits = {automation.name: automation.budget for automation in registry.automations.values()}
        effects = Effects(database, connectors, policy, clock, run_limits=limits)
        books = books_by_run(database, clock, limits, zone=settings.timezone)
        activities = [
            *GovernedActivities(database=database, registry=registry, policy=policy, clock=clock, effects=effects).all(),
            *OutreachActivities(database=database, graphs=GraphRunner.from_settings(settings, books=books), clock=clock).all(),
            *SignatureActivities(database=database, clock=clock, effects=effects).all(),
        ]
        client = await connect(settings.require("temporal_address"), namespace=settings.temporal_namespace)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="activity") as threads:
            async with worker_of(client, activities, threads, letters=DeadLetters(database, clock)):
                logger.info("worker ready: queue %s, plugins %s", COMMITMENTS, ", ".join(sorted(registry.plugins)))
                await stopping.wait()


@contextmanager
def connectors_of(registry: Registry, settings: Settings) -> Iterator[dict[str, Connector]]:
    """Every declared plugin, configured, and closed afterwards. Raises Misconfigured naming the setting that is missing."""
    with ExitStack() as closing:
        connectors: dict[str, Connector] = {}
        for name, plugin in registry.plugins.items():
            connectors[name] = made = plugin.from_settings(settings)
            closing.callback(made.close)
        yield connectors


def worker_of(
    client: Client,
    activities: Iterable[Callable[..., Any]],
    threads: ThreadPoolExecutor,
    *,
    workflows: Iterable[type[Any]] = WORKFLOWS,
    task_queue: str = COMMITMENTS,
    letters: DeadLetters | None = None,
) -> Worker:
    """The worker as it runs everywhere, in tests too. The sandbox is on: it is the default runner."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=list(workflows),
        activities=list(activities),
        activity_executor=threads,
        interceptors=[letters] if letters else [],
        max_concurrent_activities=_ACTIVITIES_AT_ONCE,
        max_concurrent_local_activities=_BOOKKEEPING_AT_ONCE,
        workflow_failure_exception_types=list(FAILS_THE_WORKFLOW),
        graceful_shutdown_timeout=_TIME_TO_FINISH,
        # After a kill -9 its workflows wait this long for the dead worker's cache before another one gets them.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
    )


if __name__ == "__main__":
    main()
