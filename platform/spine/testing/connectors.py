"""A connector inside the process, for tests and benchmarks of what surrounds one."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class AnyPayload(BaseModel):
    model_config = ConfigDict(extra="allow")


class MemoryConnector:
    """Does everything it is asked, once per (tenant, idempotency key), and remembers it in `done`. Thread-safe."""

    def __init__(self, name: str, actions: Iterable[str]) -> None:
        self.name = name
        self.actions: Mapping[str, type[BaseModel]] = dict.fromkeys(actions, AnyPayload)
        self.done: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls = 0
        self._lock = threading.Lock()

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls += 1
            self.done.setdefault((tenant_id, payload["idempotency_key"]), dict(payload))
        return self._receipt(payload)

    def find(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        with self._lock:
            known = (tenant_id, payload["idempotency_key"]) in self.done
        return self._receipt(payload) if known else None

    def _receipt(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"reference": f"{self.name}/{payload['idempotency_key']}", "observed": {}}
