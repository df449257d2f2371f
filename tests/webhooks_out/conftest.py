"""A receiver that speaks HTTP on loopback and remembers what it got, and a tenant that wants to be told."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest

from shared.events import CATALOG, ActorType, EventData, OutreachReplied
from spine import eventlog, webhooks_out
from spine.audit import Actor
from spine.clock import BusinessClock
from spine.db import Database
from spine.eventlog.groups import ConsumerGroup
from spine.webhooks_out.deliver import GROUP, FanOut, Sender
from spine.webhooks_out.post import Poster

NOON = datetime(2026, 11, 22, 9, tzinfo=UTC)
ADMIN = Actor(ActorType.HUMAN, "ada")
ALL = frozenset(CATALOG)
REPLIED = "spine.outreach.replied.v1"


@dataclass
class Receiver:
    """Answers with the statuses of its script, then with 204."""

    url: str = ""
    script: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], str]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    served = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            served.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = served.script.pop(0) if served.script else 204
            self.send_response(status)
            if status == 302:
                self.send_header("location", served.url + "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@dataclass
class Office:
    database: Database
    tenant: str = "acme"
    clock: BusinessClock = field(default_factory=lambda: BusinessClock(business_anchor=NOON, real_anchor=datetime.now(UTC)))

    def add(self, url: str, *types: str, tenant: str | None = None) -> tuple[UUID, str]:
        whose = tenant or self.tenant
        with self.database.tenant(whose) as conn:
            return webhooks_out.add_endpoint(
                conn, tenant_id=whose, url=url, event_types=types, actor=ADMIN, now=NOON, may_be_private=True
            )  # fmt: skip

    def publish(self, data: EventData | None = None, *, tenant: str | None = None) -> str:
        data = data or OutreachReplied(lead_id="L-1", contact_id="contact/1", channel="email", message_ref="m-1")
        whose = tenant or self.tenant
        with self.database.tenant(whose) as conn:
            return eventlog.publish(conn, data, tenant_id=whose, source="/test", correlation_id="flow-1", now=NOON).id

    def fan_out(self) -> None:
        ConsumerGroup(database=self.database, name=GROUP, types=ALL, dispatch=FanOut(self.database), clock=self.clock).drain()

    def send(self, *, may_be_private: bool = True, **more: Any) -> int:
        with Poster() as poster:
            return Sender(self.database, poster, self.clock, may_be_private=may_be_private, **more).deliver_due()

    def deliver(self) -> int:
        self.fan_out()
        return self.send()

    def due_now(self) -> None:
        """As if the wait were over."""
        with self.database.relay() as conn:
            conn.execute("update webhook_deliveries set next_attempt_at = now() - interval '1 second' where state = 'waiting'")

    def deliveries(self, **more: Any) -> list[webhooks_out.Delivery]:
        with self.database.tenant(self.tenant) as conn:
            return webhooks_out.deliveries(conn, tenant_id=self.tenant, **more)

    def endpoint(self, endpoint_id: UUID) -> webhooks_out.Endpoint:
        with self.database.tenant(self.tenant) as conn:
            return webhooks_out.show_endpoint(conn, tenant_id=self.tenant, endpoint_id=endpoint_id)

    def sql(self, query: str) -> list[dict[str, Any]]:
        with self.database.tenant(self.tenant) as conn:
            return conn.execute(query).fetchall()


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


def body_of(receiver: Receiver, number: int = 0) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(receiver.got[number][1])
    return read
