"""Every page in the browser: it fits its screen, in every look, and is kept as a picture for `make docs`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from spine.identity import Role
from tests.console.driven import DRIVEN, House
from tests.console.seeded import live

SCREENSHOTS = Path(__file__).parents[2] / "docs/screenshots"
PHONE = {"width": 390, "height": 844}

pytestmark = DRIVEN


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
