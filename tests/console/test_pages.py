"""Each page as a request: it shows what there is, escapes what strangers wrote, and gives buttons to those who may press them."""

import re
from datetime import timedelta
from decimal import Decimal
from urllib.parse import quote
from uuid import uuid4

import pytest

from shared.events import Verdict
from spine import budgets, intents
from spine.identity import Role
from spine.intents import IntentState
from spine.journey import journey
from spine.policy import switches
from spine.policy.switches import Scope
from tests.console.conftest import Browser
from tests.console.seeded import ROBOT_RUN, XSS, Town, live
from tests.gateway.conftest import NOON, Door

PAGES = [
    *("journeys", "journeys?q=Hello", "journeys/flow-deal", "journeys/flow-edited?all=1", "journeys/flow-unknown"),
    *("intents", "intents?state=unknown", "automations", "budgets", "audit"),
    *("dead-letters", "dead-letters?state=any", "dead-letters?plane=event"),
]


def records(browser: Browser) -> list[str]:
    """The pages of single records, as the lists link them."""
    found: list[str] = []
    for page in ("intents", "dead-letters"):
        found += re.findall(rf'href="/console/({page}/[0-9a-f-]{{36}})"', browser.open(f"/console/{page}").text)
    return sorted(set(found))


def buttons(text: str) -> list[str]:
    """Forms that do something, apart from the two that everybody has."""
    found = re.findall(r'<form method="post" action="([^"]+)"', text)
    return [action for action in found if action.split("/")[-1] not in ("preferences", "logout")]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_no_page_runs_what_a_stranger_wrote(browser: Browser, language: str) -> None:
    live(browser.door, XSS)
    browser.log_in("noor.admin", role=Role.ADMIN)
    browser.client.cookies.set("spine_language", language, path="/console")
    seen = 0
    for page in [*PAGES, *records(browser), f"journeys?q={quote(XSS)}", f"intents?correlation={quote(XSS)}", f"audit?actor={quote(XSS)}"]:
        answer = browser.open(f"/console/{page}")
        assert answer.status_code == 200, (page, answer.text)
        assert "<script>alert" not in answer.text, page
        assert "<img src=x" not in answer.text, page
        seen += "&lt;script&gt;alert" in answer.text
    assert seen > 8, "the payload was not on the pages at all, so nothing was tried"


def test_a_viewer_sees_every_page_and_no_button(browser: Browser) -> None:
    live(browser.door)
    browser.log_in("vera", role=Role.VIEWER)
    for page in [*PAGES, *records(browser)]:
        answer = browser.open(f"/console/{page}")
        assert answer.status_code == 200, (page, answer.text)
        assert buttons(answer.text) == [], page
        assert "Shall we talk" not in answer.text, f"{page} shows a viewer what is in a payload"


def test_nobody_sees_a_page_without_logging_in(browser: Browser) -> None:
    for page in PAGES:
        answer = browser.open(f"/console/{page}")
        assert answer.status_code == 303, page
        assert answer.headers["location"].startswith("/console/login?next="), page


def test_a_company_sees_nothing_of_another(browser: Browser) -> None:
    live(browser.door)
    browser.log_in("noor.admin", role=Role.ADMIN)
    theirs = records(browser)
    browser.log_in("eve", role=Role.ADMIN, tenant="other")
    for page in [*theirs, "journeys/flow-deal"]:
        assert browser.open(f"/console/{page}").status_code == 404, page
    for page in ("journeys?q=flow-deal", "journeys?q=D-1001", "intents", "dead-letters?state=any", "audit", "budgets", "automations"):
        text = browser.open(f"/console/{page}").text
        assert not re.search(r'href="/console/(journeys|intents|dead-letters)/', text), page
        assert "noor.admin" not in text, page


def test_a_journey_is_one_line_from_the_run_to_the_decision(browser: Browser) -> None:
    live(browser.door)
    browser.log_in("vera", role=Role.VIEWER)
    text = browser.open("/console/journeys/flow-deal").text
    assert f"http://dagster.test/runs/{ROBOT_RUN}" in text
    assert "http://temporal.test/namespaces/default/workflows/acme%2Fcontract-signature%2FD-1001" in text
    said = ("A Dagster run published it", "A deal was won", "It started workflow", "2 people were asked about")
    order = [text.index(part) for part in said]
    assert order == sorted(order)


def test_a_first_signature_says_how_many_more_it_takes(browser: Browser) -> None:
    town = Town(browser.door)
    town.decide(browser.door.statement(correlation_id="two"), "ana.approver", Verdict.APPROVE)
    browser.log_in("vera", role=Role.VIEWER)
    assert "1 more person must sign" in browser.open("/console/journeys/two").text


@pytest.mark.parametrize(
    ("outcome", "badge", "words"),
    [
        ("signed", "badge-good", ("signed", "وُقِّع")),
        ("completed", "badge-good", ("done", "تم")),
        ("failed", "badge-bad", ("failed", "أخفق")),
        ("denied", "badge-bad", ("denied", "رُفض آليًا")),
        ("expired", "badge-bad", ("expired", "انتهى وقته")),
        ("cancelled", "badge", ("cancelled", "أُلغي")),
        ("exhausted", "badge", ("no answer came", "لم يأتِ جواب")),
        ("its-own-word", "badge", ("its-own-word", "its-own-word")),
    ],
)
def test_a_journey_says_how_its_commitment_ended(browser: Browser, outcome: str, badge: str, words: tuple[str, str]) -> None:
    browser.door.ended(outcome, "so it came", correlation_id="over")
    browser.log_in("vera", role=Role.VIEWER)
    for language, said in zip(("en", "ar"), words, strict=True):
        browser.client.cookies.set("spine_language", language, path="/console")
        text = browser.open("/console/journeys/over").text
        (line,) = re.findall(r'<p class="step-text">(.*?)</p>', text, re.DOTALL)
        assert ("Workflow" if language == "en" else "انتهى سير العمل") in line
        (shown,) = re.findall(r'<span class="(badge[^"]*)"[^>]*>([^<]+)<', line)
        assert (shown[0].split()[-1], shown[1]) == (badge, said)
        assert ("tone-" + badge.removeprefix("badge-") in text) == (badge != "badge")
        assert '<p class="quote" dir="auto">so it came</p>' in text


def test_an_edit_stands_before_the_revision_that_came_of_it(door: Door) -> None:
    live(door)
    with door.database.tenant("acme") as conn:
        steps = journey(conn, "acme", "flow-edited").steps
    [edit] = [step for step in steps if step.kind == "decision" and step.detail["verdict"] == "edit"]
    [revision] = [step for step in steps if "supersedes" in step.ids]
    assert revision.because_of == edit.step_id


@pytest.mark.parametrize("by", ["flow-done", "acme/contract-signature/lead-done", "intent", "D-1001", "event"])
def test_a_journey_is_found_by_any_id(browser: Browser, by: str) -> None:
    town = Town(browser.door)
    ids = {"event": town.deal("D-1001", "flow-deal"), "intent": town.sent("lead-done", "flow-done")}
    browser.log_in("vera", role=Role.VIEWER)
    answer = browser.open(f"/console/journeys?q={quote(ids.get(by, by), safe='')}")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"/console/journeys/{'flow-deal' if by in ('D-1001', 'event') else 'flow-done'}"


def test_an_operator_withdraws_what_has_not_begun_once_and_with_a_reason(browser: Browser) -> None:
    browser.door.message(key="lead-1", correlation_id="flow-1")
    browser.log_in("olga", role=Role.OPERATOR)
    [page] = records(browser)
    browser.open(f"/console/{page}")
    action = f"/console/{page}/cancel"
    unsaid = browser.send(action, reason="  ")
    assert unsaid.status_code == 422
    assert "Say why" in unsaid.text
    form = browser.form(action)
    for _ in range(2):  # a double click
        assert browser.client.post(action, data={**form, "reason": "asked twice"}).status_code == 303
    with browser.door.database.tenant("acme") as conn:
        intent = intents.read(conn, "acme", page.split("/")[1])
    assert intent.state is IntentState.CANCELLED
    assert browser.door.count("audit_log", "action = 'intent.moved' and detail->>'to' = 'cancelled'") == 1
    assert action not in browser.open(f"/console/{page}?done=cancelled").text


def test_an_admin_says_what_became_of_an_unknown_effect_and_others_may_not(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    intent_id = Town(browser.door).sent("lead-1", "flow-1", "lose_answer")
    monkeypatch.setattr("spine.effects.declare.UNDER_WAY", timedelta(0))
    page, action = f"/console/intents/{intent_id}", f"/console/intents/{intent_id}/outcome"
    browser.log_in("olga", role=Role.APPROVER)
    assert action not in browser.open(page).text
    browser.log_in("noor.admin", role=Role.ADMIN)
    browser.open(page)
    wrong = browser.send(action, outcome="completed", reason="the provider's list shows it")
    assert wrong.status_code == 422
    assert "has a reference at the provider" in wrong.text
    assert "the provider&#39;s list shows it" in wrong.text, "what was typed is lost"
    assert browser.send(action, outcome="completed", reference="msg-9", reason="their list shows it").status_code == 303
    with browser.door.database.tenant("acme") as conn:
        assert intents.read(conn, "acme", intent_id).state is IntentState.COMPLETED


def test_a_switch_stops_an_automation_and_an_admin_lets_it_go_on(browser: Browser) -> None:
    browser.log_in("olga", role=Role.OPERATOR)
    browser.open("/console/automations")
    blank = browser.send("/console/automations/stop", what="automation contract-signature", reason="")
    assert blank.status_code == 422
    assert 'value="automation contract-signature" selected' in blank.text, "what was chosen is lost"
    stopped = browser.send("/console/automations/stop", what="automation contract-signature", reason="wrong text")
    assert stopped.headers["location"] == "/console/automations?done=stopped", "an anchor in it would scroll past what it says"
    assert "stopped" in browser.open(stopped.headers["location"]).text
    assert "/console/automations/release" not in browser.open("/console/automations").text, "an operator may stop, not let go on"
    browser.log_in("noor.admin", role=Role.ADMIN)
    browser.open("/console/automations")
    assert browser.send("/console/automations/release", reason="text mended").status_code == 303
    with browser.door.database.tenant("acme") as conn:
        assert switches.engaged(conn, tenant_id="acme") == []


def test_a_switch_on_what_is_not_there_is_refused(browser: Browser) -> None:
    browser.log_in("olga", role=Role.OPERATOR)
    browser.open("/console/automations")
    assert browser.send("/console/automations/stop", what="automation nothing", reason="x").status_code == 400


def test_a_list_goes_on_where_it_ended_and_keeps_its_filter(browser: Browser) -> None:
    town = Town(browser.door)
    for number in range(53):
        town.letter(number, code="many")
    town.letter(99, code="other")
    browser.log_in("vera", role=Role.VIEWER)
    first = browser.open("/console/dead-letters?code=many").text
    [following] = re.findall(r'rel="next" href="([^"]+)"', first)
    assert "code=many" in following
    second = browser.open(f"/console/dead-letters{following.replace('&amp;', '&')}").text
    shown = [set(re.findall(r"dead-letters/([0-9a-f-]{36})", text)) for text in (first, second)]
    assert [len(one) for one in shown] == [50, 3]
    assert not shown[0] & shown[1]
    assert 'rel="next"' not in second


@pytest.mark.parametrize(
    "page", [*("intents?state=no", "intents?cursor=x", "audit?cursor=x"), *("dead-letters?plane=no", "dead-letters?state=no")]
)
def test_a_filter_that_is_none_is_refused_and_not_read_as_everything(browser: Browser, page: str) -> None:
    browser.log_in("olga", role=Role.OPERATOR)
    assert browser.open(f"/console/{page}").status_code == 400


def test_an_empty_company_is_taught_and_not_shown_nothing(browser: Browser) -> None:
    browser.log_in("olga", role=Role.OPERATOR)
    for page in ("journeys", "intents", "dead-letters", "budgets"):
        text = browser.open(f"/console/{page}").text
        assert 'class="empty"' in text, page
        assert "<code>spine " in text, f"{page} does not say what would put something here"


def test_a_budget_shows_what_is_spent_set_aside_and_left(browser: Browser) -> None:
    with browser.door.database.tenant("acme") as conn:
        given = {"tenant_id": "acme", "automation": "thinking", "workflow_id": f"acme/thinking/{uuid4()}", "purpose": "model"}
        held = budgets.reserve(conn, **given, tokens=900, money=Decimal("1.00"), now=NOON)  # type: ignore[arg-type]
        budgets.settle(conn, held.reservation_id, tokens=700, money=Decimal("0.75"), now=NOON)
        budgets.reserve(conn, **given, tokens=100, money=Decimal("0.25"), now=NOON)  # type: ignore[arg-type]
    browser.log_in("vera", role=Role.VIEWER)
    text = browser.open("/console/budgets").text
    assert "700 tokens" in text
    assert "set aside" in text
    assert "100 tokens" in text
    assert "thinking" in text


def test_the_audit_page_says_how_far_the_log_is_sealed(browser: Browser) -> None:
    town = Town(browser.door)
    town.letter(1)
    browser.log_in("olga", role=Role.OPERATOR)
    assert "none yet" in browser.open("/console/audit").text
    town.seal()
    town.letter(2)
    text = browser.open("/console/audit").text
    assert "number 1" in text
    assert "1 row<" in text or "1 row\n" in text or "2 rows" in text
    assert "event.dead_lettered" in text
    narrowed = browser.open("/console/audit?action=nothing.like_it").text
    assert "No row is like that" in narrowed


def test_what_the_policy_stops_partly_is_shown_so(browser: Browser) -> None:
    Town(browser.door).stop(Scope.ACTION, "crm_deal_update")
    browser.log_in("vera", role=Role.VIEWER)
    assert "partly stopped" in browser.open("/console/automations").text
