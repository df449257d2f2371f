"""Is it up? Asked over plain HTTP, gRPC and SQL.

Not over the engines' own clients: importing Dagster costs 1.6 s and 140 MB in the supervisor, and a short-lived process that used
the Temporal SDK may hang or crash at exit (traps 34a).
"""

import contextlib
from datetime import UTC, datetime

import grpc
import httpx
import psycopg
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse

_TIMEOUT = 3.0  # seconds, for every question asked here


def answers_http(url: str) -> bool:
    try:
        # Loopback must not go through a proxy that the environment names.
        return httpx.get(url, timeout=_TIMEOUT, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def answers_sql(url: str) -> bool:
    return database_problem(url) is None


def database_problem(url: str) -> str | None:
    """Why the database cannot be used, in one line, or None."""
    try:
        with psycopg.connect(url, connect_timeout=int(_TIMEOUT)) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError as error:
        return str(error).strip().splitlines()[0]
    return None


def answers_code_server(port: int) -> bool | str:
    """A Dagster code server that serves. A text when it serves an error: its module does not load, and its location is red in the UI."""
    try:
        reply = _ask_code_server(port, "ListRepositories")
    except grpc.RpcError:
        return False
    # The reply is one string of JSON whose kind is named first, so there is no need for Dagster's own decoder.
    return "its definitions do not load: see the log" if b'"__class__": "SerializableErrorInfo"' in reply[:200] else True


def shut_down_code_server(port: int) -> None:
    """What DagsterGrpcClient.shutdown_server() sends. After it has launched a run a code server no longer heeds SIGTERM."""
    # When it does not answer, the supervisor goes on to signals.
    with contextlib.suppress(grpc.RpcError):
        _ask_code_server(port, "ShutdownServer")


def _ask_code_server(port: int, method: str) -> bytes:
    """Call a method of Dagster's API that takes an empty message; the answer as it came over the wire."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            f"/api.DagsterApi/{method}", request_serializer=bytes, response_deserializer=bytes
        )
        return call(b"", timeout=_TIMEOUT)


def daemon_beats(dagster_url: str, since: datetime) -> bool:
    """Whether the sensor daemon wrote a heartbeat after `since`: it listens nowhere, so its only sign of life is in its database."""
    query = "select 1 from daemon_heartbeats where daemon_type = 'SENSOR' and timestamp > %s"
    try:
        with psycopg.connect(dagster_url, connect_timeout=int(_TIMEOUT)) as connection:
            return connection.execute(query, (since.astimezone(UTC).replace(tzinfo=None),)).fetchone() is not None
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return False


def worker_polls(address: str, namespace: str, task_queue: str, since: datetime) -> bool:
    """Whether somebody began to poll `task_queue` for workflow tasks after `since`."""
    last = last_poll(address, namespace, task_queue)
    return last is not None and last >= since


def last_poll(address: str, namespace: str, task_queue: str) -> datetime | None:
    """When a worker last began to poll `task_queue`; None if none did lately, or the server does not answer."""
    with grpc.insecure_channel(address) as channel:
        describe = channel.unary_unary(
            "/temporal.api.workflowservice.v1.WorkflowService/DescribeTaskQueue",
            request_serializer=DescribeTaskQueueRequest.SerializeToString,
            response_deserializer=DescribeTaskQueueResponse.FromString,
        )
        request = DescribeTaskQueueRequest(
            namespace=namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
        )
        try:
            pollers = describe(request, timeout=_TIMEOUT).pollers
        except grpc.RpcError:
            return None
    return max((poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in pollers), default=None)
