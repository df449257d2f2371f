"""Logging in, staying in, being let in no longer."""

from tests.console.conftest import Browser


def test_a_person_logs_in_with_a_key_and_sees_the_inbox(browser: Browser) -> None:
    answer = browser.log_in("omar")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/console/"
    page = browser.open("/console/")
    assert page.status_code == 200
    assert "omar" in page.text
