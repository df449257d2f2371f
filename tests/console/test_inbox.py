"""The inbox and one request's page: what is shown to whom, and what a decision there does."""

import re
from typing import Any

import pytest

from spine.identity import Role
from tests.console.conftest import Browser


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
