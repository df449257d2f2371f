"""The console as a person uses it: in Chromium, on a real gateway over HTTP, with a real database behind it.

Each test fails when the browser's console holds an error, which is also how a violation of the content-security policy shows. What
was seen is kept as pictures in docs/screenshots (ignored by git), for `make docs`.
"""

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright
from pydantic import Field

from spine.db import Database
from spine.gateway.app import create_app
from spine.identity import Role
from spine.registry import Registry
from tests.console.seeded import live
from tests.gateway.conftest import Door, EmailConnector, EmailPayload, registry, services_over

SCREENSHOTS = Path(__file__).parents[2] / "docs/screenshots"
CHROMIUM = shutil.which("chromium")
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on PATH (on Debian: apt install chromium): the console was NOT driven"),
    pytest.mark.timeout(240),
]


class PickyPayload(EmailPayload):
    """A typed form has something to refuse."""

    subject: Annotated[str, Field(min_length=3, max_length=60)]


class PickyConnector(EmailConnector):
    actions: ClassVar = {"send_email": PickyPayload}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


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


@pytest.fixture
def house(database: Database, chromium: Chromium) -> Iterator[House]:
    plugged = Registry(registry().automations, registry().graphs, {"email": PickyConnector})
    services = services_over(database, registry=plugged)
    app = create_app(services)
    with serving(app) as url:
        made = House(url, Door(TestClient(app), services, database), chromium)
        yield made
        for context in chromium.contexts:
            context.close()
    assert made.complaints == []


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


def named(*words: str) -> re.Pattern[str]:
    """Words beside each other on a page, where names are set apart by invisible marks of direction."""
    return re.compile(r"\W+".join(words))


def state(house: House, approval_id: str) -> str:
    with house.door.database.tenant("acme") as conn:
        row = conn.execute("select state from approvals where approval_id = %s", (approval_id,)).fetchone()
    assert row is not None
    return str(row["state"])


def test_a_person_reads_the_evidence_approves_and_sees_it_on_the_journey(house: House) -> None:
    approval_id = house.door.message(key="lead-1", correlation_id="flow-1")
    page = house.enter()
    page.locator(f'a[href="/console/approvals/{approval_id}"]').click()
    expect(page.get_by_text("crm://deal/1")).to_be_visible()
    expect(page.get_by_text("Shall we talk?")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("It may run now.")).to_be_visible()
    assert state(house, approval_id) == "approved"
    page.goto(f"{house.url}/console/journeys/flow-1")
    expect(page.get_by_text(named("approved", "send_email"))).to_be_visible()
    expect(page.get_by_role("link", name="acme/contract-signature/lead-1")).to_have_attribute(
        "href", "http://temporal.test/namespaces/default/workflows/acme%2Fcontract-signature%2Flead-1"
    )


def test_an_edit_that_does_not_fit_keeps_what_was_typed_and_one_that_fits_is_judged_again(house: House) -> None:
    approval_id = house.door.message(key="lead-1", correlation_id="flow-1")
    page = house.enter()
    page.goto(f"{house.url}/console/approvals/{approval_id}")
    page.locator("details.edit summary").click()
    form = page.locator("form.editing")
    form.get_by_label("Subject").fill("Hi")
    form.get_by_label("Message").fill("Tuesday at noon?")
    form.get_by_role("button").click()
    expect(page.locator('form.editing [aria-invalid="true"]')).to_have_value("Hi")
    expect(form.get_by_label("Message")).to_have_value("Tuesday at noon?")
    assert state(house, approval_id) == "pending"
    form.get_by_label("Subject").fill("A better word")
    form.get_by_role("button").click()
    expect(page.get_by_text("You changed this.")).to_be_visible()
    assert state(house, approval_id) == "edited"
    page.goto(f"{house.url}/console/journeys/flow-1")
    expect(page.get_by_text("and the gate judged it again").first).to_be_visible()


def test_a_reject_takes_a_reason_and_leaves_nothing_to_run(house: House) -> None:
    approval_id = house.door.message(key="lead-1", correlation_id="flow-1")
    page = house.enter()
    page.goto(f"{house.url}/console/approvals/{approval_id}")
    page.get_by_role("button", name="Reject").click()
    assert state(house, approval_id) == "pending", "the browser itself asks for the reason"
    page.get_by_label("Reason for a reject").fill("they asked not to be written to")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("You rejected this.")).to_be_visible()
    assert state(house, approval_id) == "rejected"


def test_several_are_approved_at_once_after_a_question(house: House) -> None:
    waiting = [house.door.message(key=f"lead-{number}", correlation_id=f"flow-{number}") for number in range(3)]
    page = house.enter()
    boxes = page.locator("[data-pick]")
    expect(boxes).to_have_count(3)
    boxes.nth(0).check()
    boxes.nth(2).check()
    expect(page.locator("[data-picked]")).to_have_text("2")
    page.get_by_role("button", name="Approve what is marked").click()
    page.locator("[data-ask-yes]").click()
    expect(page.get_by_text("Approved. It may run now.")).to_have_count(2)
    assert sorted(state(house, one) for one in waiting) == ["approved", "approved", "pending"]


def test_arabic_is_chosen_and_read_from_the_right(house: House) -> None:
    house.door.message()
    page = house.enter()
    page.get_by_role("button", name="العربية").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    brand, person = page.locator(".brand").bounding_box(), page.locator(".person").bounding_box()
    assert brand is not None
    assert person is not None
    assert brand["x"] > person["x"], "the page is not mirrored"
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("dir", "ltr")


def test_the_theme_is_the_systems_until_somebody_chooses(house: House) -> None:
    def ground(page: Page) -> int:
        """How bright the page is: the sum of red, green and blue."""
        painted = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", painted)[:3])

    dark, light = house.enter(color_scheme="dark"), house.enter(color_scheme="light")
    assert ground(dark) < 150 < 600 < ground(light)
    light.locator("button.theme").click()
    expect(light.locator("html")).to_have_attribute("data-theme", "dark")
    assert ground(light) < 150


def test_a_request_is_found_opened_and_approved_by_keys_alone(house: House) -> None:
    approval_id = house.door.message(key="lead-1", correlation_id="flow-1")
    page = house.enter()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/approvals/{approval_id}")
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("You approved this.")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url("**/console/journeys")


def test_a_tab_that_nobody_looks_at_holds_no_connection_and_hears_later_what_it_missed(house: House) -> None:
    """Browsers open six connections to a host: with a stream in each of six tabs, a seventh would never load."""
    page = house.enter()
    expect(page.get_by_text("Nothing waits for anybody")).to_be_visible()
    show = (
        "value => { Object.defineProperty(document, 'hidden', { value, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/console/stream")):
        page.evaluate(show, True)
    house.door.message(key="lead-1", correlation_id="flow-1")
    with page.expect_request("**/console/stream"):
        page.evaluate(show, False)
    expect(page.get_by_text("1 request waits")).to_be_visible()
    expect(page.locator("[data-waiting]")).to_have_text("1")


def test_it_works_without_javascript(house: House) -> None:
    first, second = house.door.message(key="lead-1", correlation_id="flow-1"), house.door.message(key="lead-2", correlation_id="flow-2")
    page = house.enter(java_script_enabled=False)
    page.locator(f'a[href="/console/approvals/{first}"]').click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("You approved this.")).to_be_visible()
    page.goto(f"{house.url}/console/approvals/{second}")
    page.get_by_label("Reason for a reject").fill("not now")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("You rejected this.")).to_be_visible()
    assert [state(house, one) for one in (first, second)] == ["approved", "rejected"]
    page.get_by_role("link", name="Journeys").click()
    page.get_by_role("searchbox").fill("flow-2")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text(named("rejected", "send_email"))).to_be_visible()


def test_a_dead_letter_is_mended_in_the_page(house: House) -> None:
    town = live(house.door)
    letter = town.letter(7, plane="webhook", body={"status": "completed"})
    page = house.enter()
    page.goto(f"{house.url}/console/dead-letters/{letter}")
    page.get_by_text("Change what it says…").click()
    text = page.get_by_label("As it should have been")
    text.fill('{"status": ')
    page.get_by_label("What you changed, and why").fill("the provider forgot the envelope")
    page.get_by_role("button", name="Try the mended one").click()
    expect(page.get_by_text("This is not JSON")).to_be_visible()
    expect(text).to_have_value('{"status": ')
    expect(page.get_by_label("What you changed, and why")).to_have_value("the provider forgot the envelope")


def wanted(house: House) -> dict[str, Callable[[Page], None]]:
    """Name of the picture → how to get there."""

    def to(path: str) -> Callable[[Page], None]:
        return lambda page: _follow(page, f"{house.url}/console/{path}")

    def first(path: str) -> Callable[[Page], None]:
        def go(page: Page) -> None:
            _follow(page, f"{house.url}/console/{path}")
            page.locator("[data-row] a").first.click()

        return go

    return {
        "inbox": to(""),
        "request": first(""),
        "journey": to("journeys/flow-edited"),
        "journeys": to("journeys"),
        "intents": to("intents"),
        "intent": first("intents?state=unknown"),
        "automations": to("automations"),
        "dead-letters": to("dead-letters"),
        "dead-letter": first("dead-letters?plane=event"),
        "budgets": to("budgets"),
        "audit": to("audit"),
    }


def _follow(page: Page, url: str) -> None:
    answer = page.goto(url)
    assert answer is not None
    assert answer.status == 200, url


@pytest.mark.parametrize(
    ("look", "browser"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("arabic", {"color_scheme": "light", "locale": "ar"}),
        ("phone", {"color_scheme": "light", "viewport": PHONE}),
    ],
)
def test_every_page_fits_its_screen_and_is_pictured(house: House, look: str, browser: dict[str, Any]) -> None:
    """Nothing is wider than the screen, whatever is in it: the seeds hold ids that do not break and text of the other direction."""
    town = live(house.door)
    town.letter(3, code="a-code-of-" + "very" * 20 + "-long-words", body={"data": {"note": "نص عربي mixed with " + "x" * 120}})
    town.sent("lead-" + "k" * 90, "flow-" + "c" * 90)
    page = house.visit(**browser)
    page.goto(f"{house.url}/console/login")
    page.locator("#key").fill(house.door.key("noor.admin", role=Role.ADMIN))
    page.locator("main form button").click()
    page.wait_for_url(f"{house.url}/console/")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    too_wide = []
    for name, go in wanted(house).items():
        go(page)
        page.wait_for_load_state()
        if (beyond := page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")) > 0:
            too_wide.append(f"{name} by {beyond} px")
        page.screenshot(path=SCREENSHOTS / f"{name}-{look}.png", full_page=page.evaluate("document.body.scrollHeight") < 4000)
    assert too_wide == []
