"""The inbox and one request's page: what is shown to whom, and what a decision there does."""

import re
from typing import Annotated, Any

import psycopg
import pytest
from pydantic import StringConstraints

from spine.identity import Role
from tests.console.conftest import Browser
from tests.gateway.conftest import EmailConnector, EmailPayload


def decisions(approval_id: str) -> str:
    return f"/console/approvals/{approval_id}/decisions"


def hidden(page: str, action: str, verdict: str) -> dict[str, str]:
    """The hidden fields of the form for a verdict: several forms on the page go to the same address."""
    for form in re.findall(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.S):
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        if fields.get("verdict") == verdict:
            return fields
    raise AssertionError(f"no form for {verdict!r}")


def test_a_request_is_shown_in_plain_words_and_approving_it_makes_it_runnable(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    inbox = browser.open("/console/").text
    assert "Send an e-mail to contact/globex of Globex: “Hello”" in inbox
    assert "buyer@globex.example" not in inbox
    page = browser.open(f"/console/approvals/{approval_id}").text
    assert "Shall we talk?" in page
    assert "buyer@globex.example" not in page
    answer = browser.client.post(decisions(approval_id), data=hidden(page, decisions(approval_id), "approve"))
    assert answer.status_code == 303, answer.text
    assert "You approved this." in browser.open(answer.headers["location"]).text
    assert browser.door.count("intents", "state = 'runnable'") == 1


def send(browser: Browser, approval_id: str, verdict: str, **fields: Any) -> Any:
    """Open the request and send its form for a verdict, with what a person typed."""
    page = browser.open(f"/console/approvals/{approval_id}").text
    return browser.client.post(decisions(approval_id), data={**hidden(page, decisions(approval_id), verdict), **fields})


def test_a_double_click_is_one_decision_and_both_see_its_end(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    page = browser.open(f"/console/approvals/{approval_id}").text
    fields = hidden(page, decisions(approval_id), "approve")
    first, second = (browser.client.post(decisions(approval_id), data=fields) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    assert browser.door.count("approval_decisions") == 1


def test_going_back_and_sending_other_words_decides_nothing_more(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    page = browser.open(f"/console/approvals/{approval_id}").text
    fields = hidden(page, decisions(approval_id), "reject")
    assert browser.client.post(decisions(approval_id), data={**fields, "reason": "not now"}).status_code == 303
    again = browser.client.post(decisions(approval_id), data={**fields, "reason": "on second thoughts"})
    assert again.status_code == 422
    assert browser.door.count("approval_decisions") == 1
    assert browser.door.count("intents", "state = 'rejected'") == 1


def test_a_reject_without_a_reason_is_asked_for_one_and_nothing_is_decided(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    answer = send(browser, approval_id, "reject", reason="   ")
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert "Say why: whoever proposed it reads it" in answer.text
    assert browser.door.count("approval_decisions") == 0


def test_an_edit_is_judged_anew_and_the_page_says_what_the_gate_decided(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    answer = send(browser, approval_id, "edit", **{"p.subject": "Hello again", "p.body": "Shall we meet next week?"})
    assert answer.status_code == 303, answer.text
    page = browser.open(answer.headers["location"]).text
    assert "The gate judged the new text anew" in page
    assert "your change counts as the approval" in page
    successor = re.search(r'href="(/console/approvals/[0-9a-f-]+)">Open revision 2', page)
    assert successor, page
    changed = browser.open(successor.group(1)).text
    assert "<ins>" in changed
    assert "<del>" in changed
    assert browser.door.count("intents", "revision = 2 and payload->>'subject' = 'Hello again' and state = 'runnable'") == 1


class _Careful(EmailPayload):
    subject: Annotated[str, StringConstraints(min_length=1, max_length=20)]


def test_an_edit_that_does_not_fit_is_told_at_its_field_and_loses_nothing(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmailConnector, "actions", {"send_email": _Careful})
    approval_id = browser.door.message()
    browser.log_in("omar")
    answer = send(browser, approval_id, "edit", **{"p.subject": "", "p.body": "a long text that somebody typed", "reason": "clearer"})
    assert answer.status_code == 400, answer.text
    assert "String should have at least 1 character" in answer.text
    assert "a long text that somebody typed" in answer.text
    assert 'value="clearer"' in answer.text
    assert 'class="wrong"' in answer.text
    assert len(re.findall(r'name="p.subject"[^>]* autofocus', answer.text)) == answer.text.count("autofocus") == 1
    assert browser.door.count("intents") == 1


def test_an_edit_cannot_reach_somebody_else_however_the_form_is_made(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    page = browser.open(f"/console/approvals/{approval_id}").text
    assert 'name="p.contact_id"' not in page
    answer = send(
        browser, approval_id, "edit", **{"p.contact_id": "contact/other", "p.subject": "Hi", "p.body": "x", "p.address": "a@b.example"}
    )
    assert answer.status_code == 303
    assert browser.door.count("intents", "revision = 2 and payload->>'contact_id' = 'contact/globex' and not payload ? 'address'") == 1


def test_a_page_that_went_stale_is_refused_shows_the_new_state_and_keeps_what_was_typed(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    page = browser.open(f"/console/approvals/{approval_id}").text
    mine = hidden(page, decisions(approval_id), "edit")
    browser.log_in("vera")
    send(browser, approval_id, "reject", reason="no")
    browser.log_in("omar")
    page = browser.open("/console/").text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf
    answer = browser.client.post(decisions(approval_id), data={**mine, "csrf": csrf.group(1), "p.subject": "Hi", "p.body": "typed in vain"})
    assert answer.status_code == 409
    assert "Nothing was decided." in answer.text
    assert "typed in vain" in answer.text
    assert "It was rejected" in answer.text


def test_a_digest_other_than_what_is_asked_is_refused(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    assert send(browser, approval_id, "approve", digest="sha256:" + "0" * 64).status_code == 409
    assert browser.door.count("approval_decisions") == 0


def test_a_form_from_before_logging_in_anew_comes_back_with_what_was_typed(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("omar")
    page = browser.open(f"/console/approvals/{approval_id}").text
    fields = hidden(page, decisions(approval_id), "edit")
    browser.log_in("omar")
    answer = browser.client.post(decisions(approval_id), data={**fields, "p.subject": "Hi", "p.body": "typed before"})
    assert answer.status_code == 403
    assert "typed before" in answer.text
    assert browser.door.count("intents") == 1


def test_two_signatures_are_needed_and_the_page_says_who_else_must_sign(browser: Browser) -> None:
    approval_id = browser.door.statement()
    browser.log_in("omar")
    assert "After you, 1 more person has to sign." in browser.open(f"/console/approvals/{approval_id}").text
    page = browser.open(send(browser, approval_id, "approve").headers["location"]).text
    assert "It waits for 1 more signature." in page
    assert "You have signed this. It takes somebody else now." in page
    assert 'value="approve"' not in page


def test_a_viewer_sees_the_request_and_has_no_buttons_and_no_payload(browser: Browser) -> None:
    approval_id = browser.door.message()
    browser.log_in("vic", role=Role.VIEWER)
    assert "<bdi>Send an e-mail</bdi>" in browser.open("/console/").text
    page = browser.open(f"/console/approvals/{approval_id}").text
    assert "You may look. Approvers decide." in page
    assert "Shall we talk?" not in page
    assert 'name="verdict"' not in page
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf
    fields = {"csrf": csrf.group(1), "nonce": "n" * 24, "verdict": "approve"}
    assert browser.client.post(decisions(approval_id), data=fields).status_code == 403
    assert browser.door.count("approval_decisions") == 0


def picks(browser: Browser) -> list[str]:
    return re.findall(r'name="pick" value="([^"]+)"', browser.last.text if browser.last else "")


def test_several_of_one_kind_are_approved_at_once_each_with_its_own_outcome(browser: Browser) -> None:
    ids = [browser.door.message(key=f"lead-{n}", correlation_id=f"flow-{n}") for n in range(3)]
    browser.log_in("omar")
    browser.open("/console/")
    marked = picks(browser)
    assert {one.split(" ")[0] for one in marked} == set(ids)
    fields = browser.form("/console/approvals/decisions")
    stale = f"{ids[2]} sha256:{'0' * 64}"
    answer = browser.client.post("/console/approvals/decisions", data={**fields, "pick": [*(m for m in marked if ids[2] not in m), stale]})
    assert answer.status_code == 200, answer.text
    assert answer.text.count("Approved. It may run now.") == 2
    assert answer.text.count("Not approved:") == 1
    assert browser.door.count("intents", "state = 'runnable'") == 2
    again = browser.client.post("/console/approvals/decisions", data={**fields, "pick": [*(m for m in marked if ids[2] not in m), stale]})
    assert again.text.count("Approved. It may run now.") == 2
    assert browser.door.count("approval_decisions") == 2


def test_what_needs_two_people_is_never_approved_in_bulk(browser: Browser) -> None:
    grave = browser.door.statement()
    light = browser.door.message()
    browser.log_in("omar")
    browser.open("/console/")
    assert [one.split(" ")[0] for one in picks(browser)] == [light]
    fields = browser.form("/console/approvals/decisions")
    for pick in ([f"{grave} x"], [f"{grave} x", f"{light} x"], []):
        assert browser.client.post("/console/approvals/decisions", data={**fields, "pick": pick}).status_code == 400
    assert browser.door.count("approval_decisions") == 0


def test_the_inbox_is_narrowed_by_action_and_to_what_is_mine_to_decide(browser: Browser) -> None:
    grave, light = browser.door.statement(), browser.door.message()
    browser.log_in("omar")
    assert light not in browser.open("/console/?action=publish_statement").text
    send(browser, grave, "approve")
    assert grave in browser.open("/console/").text
    mine = browser.open("/console/?mine=yes").text
    assert grave not in mine
    assert light in mine
    assert "Nothing here fits" in browser.open("/console/?action=nothing").text
    assert browser.open("/console/?colour=red").status_code == 422


def test_a_long_inbox_pages_and_shows_each_request_once(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spine.console.inbox.PAGE", 2)
    ids = {browser.door.message(key=f"lead-{n}", correlation_id=f"flow-{n}") for n in range(5)}
    browser.log_in("omar")
    seen: list[str] = []
    path = "/console/"
    while path:
        page = browser.open(path).text
        seen += re.findall(r'class="row-link" href="/console/approvals/([^"]+)"', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = f"/console/{following.group(1)}".replace("&amp;", "&") if following else ""
    assert sorted(seen) == sorted(ids)


def test_a_request_more_in_the_inbox_is_three_queries_more(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether somebody may approve is asked of each; whether he may reject or edit is asked when it is opened."""
    browser.log_in("omar")
    said: list[object] = []
    execute = psycopg.Cursor.execute
    monkeypatch.setattr(
        psycopg.Cursor, "execute", lambda self, query, *rest, **more: said.append(query) or execute(self, query, *rest, **more)
    )

    def queries() -> int:
        said.clear()
        assert browser.open("/console/").status_code == 200
        return len(said)

    browser.door.message(key="lead-1", correlation_id="flow-1")
    queries()
    one = queries()
    browser.door.message(key="lead-2", correlation_id="flow-2")
    browser.door.message(key="lead-3", correlation_id="flow-3")
    assert queries() - one <= 2 * 4


def test_an_empty_inbox_teaches(browser: Browser) -> None:
    browser.log_in("omar")
    page = browser.open("/console/").text
    assert "Nothing waits for anybody" in page
    assert "spine demo" in page


@pytest.mark.parametrize("verdict", ["approve", "reject", "edit"])
def test_a_reason_that_is_too_long_comes_back_whole_and_nothing_is_decided(browser: Browser, verdict: str) -> None:
    """It was cut at 2000 characters, and what was cut was not told."""
    approval_id = browser.door.message()
    browser.log_in("omar")
    reason = "because of this " * 130 + "and not least that"
    typed = {"p.subject": "Hello again", "p.body": "Shall we meet?"} if verdict == "edit" else {}
    answer = send(browser, approval_id, verdict, reason=reason, **typed)
    assert answer.status_code == 400, answer.text
    if verdict != "approve":  # its form has no field for one
        assert reason in answer.text
        assert answer.text.count("This is longer than 2000 characters") == 1
        assert len(re.findall(r'name="reason"[^>]*aria-invalid="true"[^>]* autofocus', answer.text)) == 1
    if verdict == "edit":
        assert "Shall we meet?" in answer.text
    assert "A reject needs a reason" not in answer.text
    assert browser.door.count("approval_decisions") == 0
    assert send(browser, approval_id, verdict, reason=reason[:2000].strip(), **typed).status_code == 303


def test_what_a_connector_says_in_english_is_marked_so_in_an_arabic_page(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmailConnector, "actions", {"send_email": _Careful})
    approval_id = browser.door.message()
    browser.log_in("omar")
    browser.client.post("/console/preferences", data={"language": "ar", "next": "/console/"})
    page = send(browser, approval_id, "edit", **{"p.subject": "", "p.body": "نص"}).text
    assert '<p class="wrong" lang="en" dir="ltr">String should have at least 1 character' in page
    assert page.count('class="wrong" lang="en"') == 1
