"""The console as a person uses it: in Chromium, on a real gateway over HTTP, with a real database behind it.

Each test fails when the browser's console holds an error, which is also how a violation of the content-security policy shows.
"""

import re

from playwright.sync_api import Page, expect

from tests.console.driven import DRIVEN, House
from tests.console.seeded import live

pytestmark = DRIVEN


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
