"""A Temporal client is Rust threads and belongs to the loop it connected on: a forked child hangs with it, another loop cannot use it.

Dagster's code server runs ticks on many threads and may fork. So nothing connects at import, one thread owns one loop and one
client for all ticks, and a forked child is refused instead of hanging.
"""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from temporalio.client import Client

from spine.temporal import TemporalLoop, connect

FORKED = """
import os, sys
from spine.temporal import TemporalLoop, connect
loop = TemporalLoop(lambda: connect(sys.argv[1]))

async def ask(client):
    return client.namespace

assert loop.run(ask) == "default"
child = os.fork()
if child == 0:
    try:
        loop.run(ask, timeout=5)
    except RuntimeError as error:
        os._exit(0 if "parent process" in str(error) else 2)
    os._exit(3)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
loop.close()
sys.exit(code)
"""

IMPORTED = """
import threading, spine.temporal, spine.dispatch, data_jobs.triggers
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_makes_no_client_and_no_thread() -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], timeout=60, check=True)


def test_many_threads_share_one_client_on_one_loop(temporal: str) -> None:
    loop = TemporalLoop(lambda: connect(temporal))

    async def ask(client: Client) -> tuple[int, int]:
        await client.service_client.check_health()
        return id(client), threading.get_ident()

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(lambda _: loop.run(ask), range(40)))
    loop.close()
    assert len(answers) == 1
    assert answers.pop()[1] != threading.get_ident()


def test_a_forked_child_is_refused_instead_of_hanging(temporal: str) -> None:
    assert subprocess.run([sys.executable, "-c", FORKED, temporal], timeout=60, check=False).returncode == 0
