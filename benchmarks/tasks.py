"""What the gateway's promises cost: `POST /v1/tasks` against a FastAPI endpoint that inserts one row.

    .venv/bin/python -m benchmarks.tasks [--seconds 6] [--rounds 5] [--clients 16]

Same box, same run, same durable PostgreSQL, same uvicorn settings, same client, in turns. A task is authenticated, held to its
automation's model, judged by the gate, recorded as an intent with four audit rows, published on the log, answered idempotently and
committed, under its own key each time; the baseline is `benchmarks.tasks_baseline`. Rates are requests a second by `--clients`
connections that send one after the other; latencies are of single requests under that load. Exit code 1 when the median ratio of
the rates is under 0.40, or when an answer was not 202.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.dispatch import quantile
from benchmarks.tasks_baseline import TABLE
from spine.db import Database, migrate
from spine.identity import Role, issue_key
from spine.stack.ports import free_ports
from spine.stack.postgres import EmbeddedPostgres

TENANT, TARGET = "demo", 0.40
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Load:
    rate: float
    latencies_ms: list[float]


def task_of(number: int) -> bytes:
    lead = {
        "lead_id": f"L-{number}",
        "account": "Globex",
        "contact_id": "contact/globex",
        "product": "GTX Plus Basic",
        "sales_agent": "Ana",
        "score": 0.9,
        "band": "A",
        "dataset_version": "bench",
    }
    asked = {"automation": "outreach-sequence", "key": f"L-{number}", "payload": {"lead": lead, "clock": ""}}
    return json.dumps({**asked, "correlation_id": f"flow-{number}"}).encode()


def request_of(path: str, port: int, headers: Callable[[int], str]) -> Callable[[], bytes]:
    def made() -> bytes:
        number = next(_numbers)
        body = task_of(number)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}{headers(number)}\r\n".encode() + body

    return made


async def load(port: int, request: Callable[[], bytes], *, seconds: float, clients: int) -> Load:
    """One request after the other on each connection. The client is bare on purpose: it must not be what is measured."""
    latencies: list[float] = []
    ends = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < ends:
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
            if b" 202 " not in head.split(b"\r\n", 1)[0]:
                sys.exit(f"an answer was not 202: {head.decode()}{body.decode()}")
            latencies.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return Load(len(latencies) / (time.perf_counter() - began), latencies)


@contextmanager
def served(command: Sequence[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen([sys.executable, *command], env={**os.environ, **environment}) as process:
        try:
            asyncio.run(_up(port, process))
            yield
        finally:
            process.terminate()


async def _up(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{process.args!r} did not come up")
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


@contextmanager
def both(home: Path) -> Iterator[tuple[int, int, str]]:
    """The gateway and the baseline, each a process, over one PostgreSQL with its fsyncs. Their ports, and a key."""
    database_port, ours, plain = free_ports(3)
    with EmbeddedPostgres(home, database_port).running() as postgres:
        with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
            postgres.create_database(connection, "bench")
        migrate(postgres.url("spine_owner", "bench"))
        with psycopg.connect(postgres.url(database="bench"), autocommit=True) as connection:
            connection.execute(TABLE)
            connection.execute("grant select, insert on plain_tasks to spine_app")
        address = postgres.url("spine_app", "bench")
        with Database(address) as database, database.tenant(TENANT) as conn:
            key = issue_key(conn, tenant_id=TENANT, principal_id="bench", role=Role.OPERATOR)
        environment = {
            "SPINE_HOME": str(home / "gateway"),
            "SPINE_DATABASE_URL": address,
            "SPINE_GATEWAY_URL": f"http://127.0.0.1:{ours}",
            "SPINE_RATE_LIMIT": "off",  # the work of a call is what is measured
        }
        with (
            served(["-m", "spine.gateway"], ours, environment),
            served(["-m", "benchmarks.tasks_baseline", str(plain), address], plain, {}),
        ):
            yield ours, plain, key


def measure(seconds: float, rounds: int, clients: int, console: Console) -> bool:
    home = Path(tempfile.mkdtemp(prefix="spine-benchmark-"))
    home.chmod(0o711)
    try:
        console.print(f"starting PostgreSQL, the gateway and the baseline in {home} …")
        with both(home) as (ours, plain, key):
            doors = {
                "insert one row": (plain, request_of("/tasks", plain, lambda _: "")),
                "POST /v1/tasks": (
                    ours,
                    request_of("/v1/tasks", ours, lambda n: f"Authorization: Bearer {key}\r\nIdempotency-Key: bench-{n}\r\n"),
                ),
            }
            loads: dict[str, list[Load]] = {name: [] for name in doors}
            for number in range(rounds + 1):
                for name, (port, request) in doors.items():
                    one = asyncio.run(load(port, request, seconds=seconds if number else 2, clients=clients))
                    if number:  # the first round warms caches, pools and prepared statements
                        loads[name].append(one)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return show(console, loads, clients)


def show(console: Console, loads: dict[str, list[Load]], clients: int) -> bool:
    plain, ours = loads.values()
    ratio = statistics.median(one.rate / other.rate for one, other in zip(ours, plain, strict=True))
    table = Table(title=f"tasks, {clients} connections, {len(ours)} rounds in turns")
    for column in ("what", "requests/s, each round", "p50", "p99"):
        table.add_column(column)
    for name, rounds in loads.items():
        latencies = sorted(latency for one in rounds for latency in one.latencies_ms)
        rates = ", ".join(f"{one.rate:.0f}" for one in rounds)
        table.add_row(name, rates, f"{statistics.median(latencies):.1f} ms", f"{quantile(latencies, 0.99):.1f} ms")
    met = ratio >= TARGET
    table.add_row("ratio, median of the rounds", f"{ratio:.2f}", f"≥ {TARGET:.2f}", "met" if met else "MISSED")
    console.print(table)
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    sys.exit(0 if measure(arguments.seconds, arguments.rounds, arguments.clients, Console()) else 1)


if __name__ == "__main__":
    main()
