"""A console over a real database: people who log in with keys, as in tests.gateway."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import sync_playwright

from spine.db import Database
from spine.gateway.app import create_app
from spine.identity import Role
from spine.registry import Registry
from tests.console.driven import CHROMIUM, House, PickyConnector, serving
from tests.gateway.conftest import Door, registry, services_over

_HIDDEN = re.compile(r'<input type="hidden" name="(?P<name>[^"]+)" value="(?P<value>[^"]*)"')


@dataclass
class Browser:
    """One person's browser: its cookies, and forms that are sent from the page they are on."""

    client: TestClient
    door: Door
    last: Response | None = None

    def log_in(self, person: str = "omar", *, role: Role = Role.APPROVER, tenant: str = "acme", after: str = "") -> Response:
        return self.client.post("/console/login", data={"key": self.door.key(person, tenant=tenant, role=role), "next": after})

    def open(self, path: str, **more: Any) -> Response:
        self.last = self.client.get(path, **more)
        return self.last

    def form(self, action: str) -> dict[str, str]:
        """The hidden fields of the form with this action on the page that was opened last."""
        assert self.last is not None, "no page was opened"
        found = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.last.text, re.S)
        assert found, f"no form with action {action!r} on {self.last.url}"
        return {hit["name"]: hit["value"] for hit in _HIDDEN.finditer(found.group(1))}

    def send(self, action: str, *, headers: dict[str, str] | None = None, **fields: Any) -> Response:
        return self.client.post(action, data={**self.form(action), **fields}, headers=headers)


@pytest.fixture
def door(database: Database) -> Door:
    """Entered without its context, as in tests.gateway: the app's life would close the database that the fixture owns."""
    services = services_over(database)
    return Door(TestClient(create_app(services)), services, database)


@pytest.fixture
def browser(door: Door) -> Browser:
    """Nobody is logged in yet. Redirects are not followed: where they lead is part of what is tested."""
    return Browser(TestClient(door.client.app, follow_redirects=False), door)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """For one module only: while it runs, no other event loop may."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def house(database: Database, chromium: Chromium) -> Iterator[House]:
    """Fails the test afterwards when a browser complained."""
    plugged = Registry(registry().automations, registry().graphs, {"email": PickyConnector})
    services = services_over(database, registry=plugged)
    app = create_app(services)
    with serving(app) as url:
        made = House(url, Door(TestClient(app), services, database), chromium)
        yield made
        for context in chromium.contexts:
            context.close()
    assert made.complaints == []


def query_of(location: str) -> dict[str, str]:
    return dict(parse_qsl(location.partition("?")[2]))
