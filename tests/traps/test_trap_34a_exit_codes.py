"""A short-lived process that used a Temporal client may crash or never exit (sdk-python#300): 2 in 20 died after start + 3 describes.

That is exactly a Dagster run or a command-line tool. `TemporalLoop.close` drains, lets go of the client, collects and gives its
Rust side a moment; after it every process ended well. Nothing short-lived waits for a workflow's result.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from spine.ids import new_id
from spine.temporal import TemporalLoop, connect

async def work(client):
    handle = await client.start_workflow("anything", id=f"trap-34a/{new_id()}", task_queue="trap-34a")
    for _ in range(3):
        await handle.describe()

loop = TemporalLoop(lambda: connect(sys.argv[1]))
loop.run(work)
loop.close()
"""


@pytest.mark.timeout(120)
def test_processes_that_used_the_client_and_closed_it_end_well(temporal: str) -> None:
    codes = []
    for _ in range(2):  # a few at a time: a busy machine is where it crashed
        batch = [subprocess.Popen([sys.executable, "-c", PROGRAM, temporal]) for _ in range(5)]
        try:
            codes += [process.wait(60) for process in batch]
        finally:
            for process in batch:
                process.kill()
    assert codes == [0] * 10
