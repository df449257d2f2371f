"""What governance costs: a workflow with one governed effect against a workflow with one bare activity.

    .venv/bin/python -m benchmarks.governed_effect [--count 200]

Same server, same worker, same run, alternating, one at a time; latency is from the start call to the result. Governed means
propose → judged → allowed → ledger → provider → receipt → audit and events, in the transactions that keep the promises; bare
means the same call to the same connector in an activity, and nothing else. Exit code 1 when the ratio of the medians is above 1.6.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console
from rich.table import Table
from temporalio import activity
from temporalio.client import Client

from benchmarks.governed_effect_workflows import ACTION, GOVERNED_NAME, Bare, Governed
from orchestration.automations import CONTRACT_SIGNATURE
from orchestration.governed.activities import GovernedActivities
from orchestration.governed.messages import Commitment
from orchestration.worker import THREADS, worker_of
from spine.clock import BusinessClock
from spine.db import Database, migrate
from spine.effects import Effects
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.settings import Settings
from spine.stack.ports import free_port, free_ports
from spine.stack.postgres import EmbeddedPostgres
from spine.stack.temporal_server import EmbeddedTemporal
from spine.telemetry import setup_telemetry
from spine.temporal import connect
from spine.testing.connectors import MemoryConnector

TENANT, TARGET = "demo", 1.6
GOVERNED = replace(CONTRACT_SIGNATURE, name=GOVERNED_NAME, effects=(ACTION,))


class BareActivity:
    def __init__(self, connector: MemoryConnector) -> None:
        self._connector = connector

    @activity.defn(name="bare-effect")
    def perform(self, payload: dict[str, Any]) -> str:
        return str(self._connector.perform(TENANT, payload)["reference"])


@contextmanager
def engines(home: Path) -> Iterator[tuple[Database, str]]:
    port, http_port, metrics_port = free_ports(3)
    temporal = EmbeddedTemporal(home=home, port=port, http_port=http_port, metrics_port=metrics_port)
    # Durable, as `spine up` runs it: a promise that is measured without its fsync is another promise.
    with EmbeddedPostgres(home, free_port()).running() as postgres, temporal.running() as server:
        with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
            postgres.create_database(connection, "bench")
        migrate(postgres.url("spine_owner", "bench"))
        with Database(postgres.url("spine_app", "bench")) as database:
            yield database, server.address


async def timed(run: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await run()
    return (time.perf_counter() - started) * 1000


async def measure(database: Database, address: str, count: int) -> dict[str, list[float]]:
    setup_telemetry("spine-bench", Settings())
    policy, clock, queue = PolicyTable.load(), BusinessClock(), f"bench-{uuid4()}"
    connector = MemoryConnector("crm", ["crm_deal_update", "crm_contact_upsert"])
    governed = GovernedActivities(
        database=database,
        registry=Registry.of([GOVERNED]),
        policy=policy,
        clock=clock,
        effects=Effects(database, {"crm": connector}, policy, clock),
    )
    client: Client = await connect(address)
    given = Commitment(tenant_id=TENANT, correlation_id="bench").model_dump(mode="json")

    async def one(name: str) -> None:
        workflow_id = f"{TENANT}/{name}/{uuid4()}"
        answer = await client.execute_workflow(name, given, id=workflow_id, task_queue=queue)
        assert answer.startswith("crm/"), answer

    times: dict[str, list[float]] = {"bench-bare": [], "bench-governed": []}
    with ThreadPoolExecutor(THREADS) as threads:
        activities = [*governed.all(), BareActivity(connector).perform]
        async with worker_of(client, activities, threads, workflows=[Governed, Bare], task_queue=queue):
            for name in times:
                for _ in range(20):
                    await one(name)  # caches, connections, the first load of the sandbox
            for _ in range(count):
                for name, measured in times.items():
                    measured.append(await timed(lambda name=name: one(name)))  # type: ignore[misc]
    assert len(connector.done) == connector.calls, "an effect was made twice"
    return times


def report(times: dict[str, list[float]]) -> float:
    def percentile(values: list[float], percent: int) -> float:
        return statistics.quantiles(values, n=100)[percent - 1]

    table = Table("one effect", "p50 ms", "p99 ms")
    for name, values in times.items():
        table.add_row(name.removeprefix("bench-"), f"{percentile(values, 50):.1f}", f"{percentile(values, 99):.1f}")
    bare, governed = times["bench-bare"], times["bench-governed"]
    ratio = percentile(governed, 50) / percentile(bare, 50)
    table.add_row(f"ratio (target ≤ {TARGET})", f"{ratio:.2f}", f"{percentile(governed, 99) / percentile(bare, 99):.2f}")
    Console().print(table)
    return ratio


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=200)
    count = arguments.parse_args().count
    home = Path(tempfile.mkdtemp(prefix="spine-bench-"))
    home.chmod(0o711)  # PostgreSQL's own account has to pass when this runs as root
    try:
        with engines(home) as (database, address):
            times = asyncio.run(measure(database, address, count))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0 if report(times) <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
