"""The way of a browser: authorization code with PKCE, bound to whoever began it."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from spine.errors import NotAuthenticated, ProviderUnavailable
from spine.identity import Principal, Role
from spine.identity.login import LoginStarted, build_authorization_url, exchange_code, is_offered
from spine.identity.oidc import Oidc
from spine.settings import Settings
from spine.testing.issuer import CLIENT, FakeIssuer

BACK = "https://spine.example/console/oidc"


@pytest.fixture
def settings(issuer: FakeIssuer) -> Settings:
    return Settings.model_validate({**issuer.settings(), "oidc_client_secret": "s3cret"})


def come_back(settings: Settings, oidc: Oidc, started: LoginStarted, **changes: Any) -> Principal:
    return exchange_code(settings, oidc, **{"started": started, "code": "abc", "state": started.state, "redirect_uri": BACK, **changes})


def test_a_login_goes_to_the_issuer_and_comes_back_as_a_principal(issuer: FakeIssuer, oidc: Oidc, settings: Settings) -> None:
    started = build_authorization_url(settings, redirect_uri=BACK)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(started.url).query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(started.verifier.encode()).digest()).decode().rstrip("=")
    assert started.url.startswith(f"{issuer.url}/authorization_endpoint?")
    assert (asked["state"], asked["nonce"], asked["code_challenge"]) == (started.state, started.nonce, challenge)
    assert (asked["code_challenge_method"], asked["client_id"], asked["redirect_uri"]) == ("S256", CLIENT, BACK)
    assert "openid" in asked["scope"]
    issuer.login = {"id_token": issuer.token(aud=CLIENT, nonce=started.nonce)}
    assert come_back(settings, oidc, started) == Principal(tenant_id="acme", id="ana", role=Role.APPROVER)
    [form] = issuer.forms
    assert (form["code"], form["code_verifier"], form["client_secret"]) == ("abc", started.verifier, "s3cret")


def test_another_state_asks_the_issuer_nothing(issuer: FakeIssuer, oidc: Oidc, settings: Settings) -> None:
    started = build_authorization_url(settings, redirect_uri=BACK)
    with pytest.raises(NotAuthenticated, match="no login that was begun here"):
        come_back(settings, oidc, started, state="forged")
    assert issuer.forms == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nonce": "another"}, "another login"),
        ({"nonce": None}, "another login"),
        ({"aud": "spine-api"}, "another audience"),
        ({"azp": "another-client"}, "another client"),
        ({"azp": CLIENT, "sub": CLIENT}, "people log in here"),
        ({"tenant": None}, "no tenant"),
    ],
)
def test_an_id_token_that_is_not_the_answer_is_refused(
    issuer: FakeIssuer, oidc: Oidc, settings: Settings, changes: dict[str, Any], says: str
) -> None:
    started = build_authorization_url(settings, redirect_uri=BACK)
    issuer.login = {"id_token": issuer.token(**{"aud": CLIENT, "nonce": started.nonce, **changes})}
    with pytest.raises(NotAuthenticated, match=says):
        come_back(settings, oidc, started)


def test_a_code_that_is_refused_and_an_issuer_that_is_away_are_told_apart(issuer: FakeIssuer, oidc: Oidc, settings: Settings) -> None:
    started = build_authorization_url(settings, redirect_uri=BACK)
    with pytest.raises(NotAuthenticated, match="does not take the code"):
        come_back(settings, oidc, started)
    issuer.login = {"access_token": "only"}
    with pytest.raises(NotAuthenticated, match="no ID token"):
        come_back(settings, oidc, started)
    issuer.is_down = True
    with pytest.raises(ProviderUnavailable):
        come_back(settings, oidc, started)


def test_a_login_is_offered_where_there_is_an_issuer_and_a_client(settings: Settings) -> None:
    assert is_offered(settings)
    assert not is_offered(Settings.model_validate({}))
