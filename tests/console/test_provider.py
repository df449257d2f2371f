"""Logging in through the company's identity provider."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from spine.db import Database
from spine.gateway.app import create_app
from spine.identity.oidc import Oidc
from spine.settings import Settings
from spine.testing.issuer import CLIENT, FakeIssuer
from tests.console.conftest import Browser
from tests.gateway.conftest import Door, services_over

COOKIE = "spine_console"


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer() as running:
        yield running


@pytest.fixture
def theirs(database: Database, issuer: FakeIssuer) -> Browser:
    """A browser at a console that knows the issuer."""
    issuer.is_down, issuer.login = False, {}
    oidc = Oidc.from_settings(Settings.model_validate(issuer.settings()))
    services = services_over(database, settings=issuer.settings(), oidc=oidc)
    app = create_app(services)
    return Browser(TestClient(app, follow_redirects=False), Door(TestClient(app), services, database))


def begun(browser: Browser, after: str = "/console/") -> dict[str, str]:
    """Press the button; what the issuer was asked."""
    answer = browser.open(f"/console/login/provider?next={after}")
    assert answer.status_code == 303
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def test_the_button_is_there_only_where_a_provider_is(browser: Browser, theirs: Browser) -> None:
    assert "/console/login/provider" not in browser.open("/console/login").text
    assert browser.open("/console/login/provider").status_code == 404
    assert "/console/login/provider" in theirs.open("/console/login").text


def test_a_login_at_the_provider_opens_a_session_and_leads_back_to_the_page(theirs: Browser, issuer: FakeIssuer) -> None:
    asked = begun(theirs, "/console/budgets")
    assert asked["redirect_uri"] == "http://testserver/console/login/back"
    issuer.login = {"id_token": issuer.token(aud=CLIENT, nonce=asked["nonce"])}
    answer = theirs.open(f"/console/login/back?code=abc&state={asked['state']}")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/console/budgets"
    assert "ana" in theirs.open("/console/").text
    assert theirs.door.count("audit_log", "action = 'console.logged_in' and actor_id = 'ana'") == 1


def test_an_answer_that_this_browser_did_not_ask_for_lets_nobody_in(theirs: Browser, issuer: FakeIssuer) -> None:
    asked = begun(theirs)
    issuer.login = {"id_token": issuer.token(aud=CLIENT, nonce=asked["nonce"])}
    for path in (
        f"/console/login/back?code=abc&state={'x' * 43}",
        "/console/login/back",
        f"/console/login/back?code=abc&state={asked['state']}",
    ):
        answer = theirs.open(path)  # the third is right, but what was begun has been forgotten with the first
        assert answer.status_code == 401, path
        assert COOKIE not in answer.cookies
    assert theirs.door.count("console_sessions") == 0


def test_a_provider_that_is_away_is_told_from_a_refusal(theirs: Browser, issuer: FakeIssuer) -> None:
    asked = begun(theirs)
    issuer.is_down = True
    answer = theirs.open(f"/console/login/back?code=abc&state={asked['state']}")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
