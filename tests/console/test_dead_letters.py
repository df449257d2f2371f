"""The pages of dead letters: one is mended, tried again or given up with a reason; all of a kind are counted before anything is done."""

import json

import pytest

from spine import deadletters
from spine.identity import Role
from tests.console.conftest import Browser, query_of
from tests.console.seeded import Town
from tests.gateway.conftest import NOON

DEAL = {
    "deal_id": "D9",
    "account": "Globex",
    "contact_id": "contact/globex",
    "product": "GTX Pro",
    "sales_agent": "Sara Ops",
    "value": {"amount": "4514.00", "currency": "USD"},
    "closed_on": "2026-11-20",
}


def letter_of(browser: Browser, **more: object) -> str:
    letter = Town(browser.door).letter(1, **more)  # type: ignore[arg-type]
    return f"/console/dead-letters/{letter}"


def test_a_dead_letter_is_given_up_by_an_approver_with_a_reason(browser: Browser) -> None:
    page = letter_of(browser)
    browser.log_in("olga", role=Role.OPERATOR)
    assert f"{page}/discard" not in browser.open(page).text
    browser.log_in("omar", role=Role.APPROVER)
    browser.open(page)
    assert browser.send(f"{page}/discard", reason="").status_code == 422
    assert browser.send(f"{page}/discard", reason="the deal was cancelled").status_code == 303
    with browser.door.database.tenant("acme") as conn:
        [letter] = deadletters.listing(conn, tenant_id="acme", state="discarded").items
    assert (letter.resolved_by, letter.resolution) == ("omar", "the deal was cancelled")


def test_an_edit_that_is_no_json_or_does_not_fit_keeps_what_was_typed(browser: Browser) -> None:
    event_id = Town(browser.door).deal("D9", "flow-9")
    with browser.door.database.tenant("acme") as conn:
        letter = deadletters.add(
            conn,
            tenant_id="acme",
            plane="event",
            reference=event_id,
            consumer="revenue",
            correlation_id="flow-9",
            error_code="refused",
            error="no",
            attempts=1,
            body={"type": "spine.deal.won.v1", "data": DEAL},
            now=NOON,
        )
    page = f"/console/dead-letters/{letter}"
    browser.log_in("omar", role=Role.APPROVER)
    browser.open(page)
    for typed, said in (('{"deal_id": ', "This is not JSON"), ("[]", "not an object"), ('{"deal_id": "D9", "x": "kept <b>"}', "account")):
        answer = browser.send(f"{page}/edit", body=typed, reason="mended the product")
        assert answer.status_code == 422, answer.text
        assert said in answer.text
        assert typed.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;") in answer.text, "what was typed is lost"
        assert "mended the product" in answer.text, "the reason is lost"
    mended = json.dumps({**DEAL, "product": "GTX Plus"})
    assert browser.send(f"{page}/edit", body=mended, reason="mended the product").status_code == 303
    with browser.door.database.tenant("acme") as conn:
        assert deadletters.show(conn, tenant_id="acme", dead_letter_id=letter).state == "edited"
    assert browser.door.count("events", "envelope->'data'->>'product' = 'GTX Plus'") == 1


@pytest.mark.parametrize(
    ("body", "why"), [('{"value": ' + "9" * 5000 + "}", "a number has too many digits"), ('{"value": NaN}', "NaN is no number")]
)
def test_a_number_that_nobody_can_keep_is_told_on_the_page_and_loses_nothing(browser: Browser, body: str, why: str) -> None:
    path = f"/console/dead-letters/{Town(browser.door).letter()}"
    browser.log_in()
    browser.open(path)
    answer = browser.send(f"{path}/edit", body=body, reason="mended by hand")
    assert answer.status_code == 422
    assert f"This is not JSON: {why}." in answer.text
    assert "mended by hand" in answer.text


def test_an_edit_of_a_letter_that_somebody_else_gave_up_meanwhile_is_given_back(browser: Browser) -> None:
    path = f"/console/dead-letters/{Town(browser.door).letter()}"
    browser.log_in()
    browser.open(path)
    stale = browser.form(f"{path}/edit")
    assert browser.send(f"{path}/discard", reason="nobody needs it").status_code == 303
    answer = browser.client.post(f"{path}/edit", data={**stale, "body": '{"half": "an hour"}', "reason": "mended by hand"})
    assert answer.status_code == 409
    assert "an hour" in answer.text
    assert "mended by hand" in answer.text
    assert f'href="{path}"' in answer.text


def test_all_of_a_kind_are_counted_first_and_decided_together(browser: Browser) -> None:
    town = Town(browser.door)
    for number in range(3):
        town.letter(number)
    town.letter(9, code="another")
    browser.log_in("omar", role=Role.APPROVER)
    asked = browser.open("/console/dead-letters/all?verdict=discard&code=schema-violation")
    assert "Give 3 dead letters up?" in asked.text
    assert browser.send("/console/dead-letters/all", reason=" ").status_code == 422
    town.letter(4)
    late = browser.send("/console/dead-letters/all", reason="a bad deploy")
    assert late.status_code == 409, "one that nobody had counted was swept along"
    browser.open("/console/dead-letters/all?verdict=discard&code=schema-violation")
    done = browser.send("/console/dead-letters/all", reason="a bad deploy")
    assert query_of(done.headers["location"]) == {"done": "discard", "count": "4", "refused": "0"}
    assert browser.door.count("dead_letters", "state = 'open'") == 1
