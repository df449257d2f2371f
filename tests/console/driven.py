"""A gateway with people behind it and their browsers before it, for the tests that drive Chromium."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import pytest
import uvicorn
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Page
from pydantic import Field

from spine.identity import Role
from tests.gateway.conftest import Door, EmailConnector, EmailPayload

CHROMIUM = shutil.which("chromium")
WIDE = {"width": 1280, "height": 860}

DRIVEN = [
    pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on PATH (on Debian: apt install chromium): the console was NOT driven"),
    pytest.mark.timeout(240),
]


class PickyPayload(EmailPayload):
    """A typed form has something to refuse."""

    subject: Annotated[str, Field(min_length=3, max_length=60)]


class PickyConnector(EmailConnector):
    actions: ClassVar = {"send_email": PickyPayload}


@dataclass
class House:
    """A gateway with people behind it, and what their browsers complained about."""

    url: str
    door: Door
    chromium: Chromium
    complaints: list[str] = field(default_factory=list)

    def enter(self, person: str = "omar", role: Role = Role.APPROVER, **browser: Any) -> Page:
        """Logged in, by the form."""
        page = self.visit(**browser)
        page.goto(f"{self.url}/console/login")
        page.get_by_label("API key").fill(self.door.key(person, role=role))
        page.locator("main form button").click()
        page.wait_for_url(f"{self.url}/console/")
        return page

    def visit(self, **browser: Any) -> Page:
        """Nobody yet. A new browser profile, whose language is English unless it is said."""
        page = self.chromium.new_context(**{"locale": "en", "viewport": WIDE, **browser}).new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def _heard(self, said: ConsoleMessage) -> None:
        # A page that answers 409 or 422 is a page; the browser calls it a resource that failed to load.
        if said.type in ("error", "warning") and "Failed to load resource" not in said.text:
            self.complaints.append(f"{said.type}: {said.text}")


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The application on a free port. Without its own life: that would close the database that a fixture owns."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        until = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < until, "the gateway does not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = server.force_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the gateway does not stop"
