"""A browser logs in at the identity provider: OpenID Connect's authorization code flow with PKCE (RFC 7636, S256).

    started = build_authorization_url(settings, redirect_uri=…)     # keep `started` for this browser, sealed; go to started.url
    principal = exchange_code(settings, oidc, started=…, code=…, state=…, redirect_uri=…)

Keep `state`, `nonce` and `verifier` where only this browser brings them back (a short-lived, HttpOnly cookie), and forget them after
one use: they bind the answer to whoever asked.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from shared.events import ActorType
from spine.errors import Misconfigured, NotAuthenticated, ProviderRefused
from spine.identity.issuer import discover, fetch_json
from spine.identity.oidc import Oidc
from spine.identity.principals import Principal
from spine.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStarted:
    """Where to send the browser, and what has to come back with it."""

    url: str
    state: str
    nonce: str
    verifier: str


def is_offered(settings: Settings) -> bool:
    """Whether this installation has an issuer and a client for logging in."""
    return settings.oidc_issuer is not None and settings.oidc_client_id is not None


def build_authorization_url(settings: Settings, *, redirect_uri: str) -> LoginStarted:
    """Begin. Raises Misconfigured, and ProviderUnavailable when the issuer does not answer."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = {
        "response_type": "code",
        "client_id": settings.require("oidc_client_id"),
        "redirect_uri": redirect_uri,
        "scope": settings.oidc_scopes,
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    where = _endpoint(settings, "authorization_endpoint")
    url = f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"
    return LoginStarted(url=url, state=state, nonce=nonce, verifier=verifier)


def exchange_code(settings: Settings, oidc: Oidc, *, started: LoginStarted, code: str, state: str, redirect_uri: str) -> Principal:
    """Who has logged in. Raises NotAuthenticated for another state or nonce, a refused code, or a program's token."""
    if not hmac.compare_digest(state.encode(), started.state.encode()):
        raise NotAuthenticated("this answer of the identity provider belongs to no login that was begun here: log in again")
    client_id = settings.require("oidc_client_id")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "code_verifier": started.verifier,
    }
    if settings.oidc_client_secret is not None:
        form["client_secret"] = settings.oidc_client_secret.get_secret_value()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = fetch_json(_endpoint(settings, "token_endpoint"), urlencode(form).encode(), headers)
    except ProviderRefused as error:
        raise NotAuthenticated("the identity provider does not take the code, which is good once, and briefly: log in again") from error
    claims = oidc.claims(_id_token(answer), audience=client_id)
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), started.nonce.encode()):
        raise NotAuthenticated("the identity provider's token is the answer to another login: log in again")
    if claims.get("azp", client_id) != client_id:
        raise NotAuthenticated("the identity provider's token was given to another client")
    principal = oidc.principal_in(claims)
    if principal.actor_type is not ActorType.HUMAN:
        raise NotAuthenticated("people log in here; programs use an API key")
    return principal


def _endpoint(settings: Settings, name: str) -> str:
    issuer = settings.require("oidc_issuer")
    found = discover(issuer, fetch_json).get(name)
    if not isinstance(found, str):
        raise Misconfigured(f"{issuer!r} names no {name!r}: it cannot be used for logging in")
    return found


def _id_token(answer: Mapping[str, Any]) -> str:
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise NotAuthenticated("the identity provider gave no ID token: the scopes must hold 'openid' (SPINE_OIDC_SCOPES)")
    return token
