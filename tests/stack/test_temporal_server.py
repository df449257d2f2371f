"""The embedded Temporal server: our search attributes, and state that survives."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from spine.stack.ports import free_ports
from spine.stack.temporal_server import SEARCH_ATTRIBUTES, EmbeddedTemporal, is_ready, missing_search_attributes
from tests.stack.test_orphans import eventually


def attributes(**values: str) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items()])


def test_trap_29_a_start_with_an_unknown_search_attribute_is_refused_and_ours_are_known(temporal: str) -> None:
    async def main() -> None:
        client = await Client.connect(temporal)
        known = attributes(**dict.fromkeys(SEARCH_ATTRIBUTES, "x"))
        await client.start_workflow("nobody-runs-it", id="ours", task_queue="none", search_attributes=known)
        with pytest.raises(RPCError, match="no mapping defined for search attribute Invented"):
            await client.start_workflow("nobody-runs-it", id="theirs", task_queue="none", search_attributes=attributes(Invented="x"))
        await client.get_workflow_handle("ours").terminate()

    assert missing_search_attributes(temporal) == []
    asyncio.run(main())


def test_a_server_that_does_not_answer_is_told_from_one_that_lacks_attributes(temporal: str) -> None:
    assert missing_search_attributes(f"127.0.0.1:{free_ports(1)[0]}") is None
    assert is_ready(temporal)
    assert not is_ready(temporal, namespace="never-made")


def test_an_acknowledged_start_survives_kill_nine_of_the_server(tmp_path: Path) -> None:
    port, http_port, metrics_port = free_ports(3)
    server = EmbeddedTemporal(home=tmp_path, port=port, http_port=http_port, metrics_port=metrics_port)

    async def start() -> None:
        await (await Client.connect(server.address)).start_workflow("nobody-runs-it", id="kept", task_queue="none")

    async def status() -> str:
        described = await (await Client.connect(server.address)).get_workflow_handle("kept").describe()
        return described.status.name if described.status else "unknown"

    with subprocess.Popen(server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        eventually(lambda: is_ready(server.address), bool)
        asyncio.run(start())
        first.kill()
    with server.running():
        assert asyncio.run(status()) == "RUNNING"


def test_trap_33a_the_embedded_server_does_not_wait_fifty_milliseconds_before_every_task(tmp_path: Path) -> None:
    command = EmbeddedTemporal(home=tmp_path, port=1, http_port=2, metrics_port=3).command()
    assert "history.transferProcessorMaxPollRPS=2000" in command
    assert "history.timerProcessorMaxPollRPS=2000" in command
    assert "matching.enableFairness=true" in command
    assert "journal_mode=WAL" in command
