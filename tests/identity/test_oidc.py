"""Tokens of the identity provider: what holds becomes a principal, and everything else is refused."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from shared.events import ActorType
from spine.errors import Misconfigured, NotAuthenticated, ProviderUnavailable
from spine.identity import Principal, Role
from spine.identity.issuer import IssuerKeys, fetch_json
from spine.identity.oidc import Oidc, OidcConfig, roles_of
from spine.settings import Settings
from spine.testing.issuer import AUDIENCE, FakeIssuer

ANA = Principal(tenant_id="acme", id="ana", role=Role.APPROVER)


def test_a_good_token_is_the_same_principal_as_a_key_and_the_keys_are_fetched_once(issuer: FakeIssuer, oidc: Oidc) -> None:
    assert [oidc.principal(issuer.token()) for _ in range(3)] == [ANA] * 3
    assert issuer.calls["/jwks_uri"] == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"nbf": int(time.time()) + 86_400}, "not valid yet"),
        ({"iat": int(time.time()) + 86_400}, "not valid yet"),
        ({"aud": "somebody-else"}, "another audience"),
        ({"aud": None}, "does not hold"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "does not hold"),
        ({"exp": None}, "does not hold"),
        ({"iat": None}, "does not hold"),
        ({"sub": None}, "does not hold"),
        ({"tenant": None}, "no tenant"),
        ({"tenant": ["acme"]}, "no tenant"),
        ({"tenant": "a/b"}, "no tenant"),
        ({"sub": "ana@acme.example"}, "addresses stay out"),
        ({"roles": None}, "no role"),
        ({"roles": ["king"]}, "no role"),
        ({"roles": {"approver": True}}, "no role"),
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(issuer: FakeIssuer, oidc: Oidc, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(NotAuthenticated, match=says):
        oidc.principal(issuer.token(**changes))


def test_a_clock_that_is_a_little_off_is_forgiven(issuer: FakeIssuer, oidc: Oidc) -> None:
    assert oidc.principal(issuer.token(exp=int(time.time()) - 10, nbf=int(time.time()) + 10)) == ANA


def test_an_unsigned_token_is_refused(issuer: FakeIssuer, oidc: Oidc) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    with pytest.raises(NotAuthenticated, match="header"):
        oidc.principal(jwt.encode(claims, None, algorithm="none", headers={"kid": issuer.key_id}))


def test_the_public_key_is_nobodys_shared_secret(issuer: FakeIssuer, oidc: Oidc) -> None:
    """HS256 with the published RSA key as its secret, signed by hand: the library would refuse to."""
    body = issuer.token().split(".")[1]
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': issuer.key_id})}.{body}"
    signature = hmac.new(issuer.public_pem(), signed.encode(), hashlib.sha256).digest()
    with pytest.raises(NotAuthenticated, match="header"):
        oidc.principal(f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


def test_a_token_signed_by_somebody_else_under_a_known_key_id_is_refused(issuer: FakeIssuer, oidc: Oidc) -> None:
    with pytest.raises(NotAuthenticated, match="signature"):
        oidc.principal(issuer.token(key=generate_private_key(public_exponent=65537, key_size=2048)))


def test_a_token_that_is_no_access_token_is_refused(issuer: FakeIssuer, oidc: Oidc) -> None:
    for kind in ("logout+jwt", "dpop+jwt"):
        with pytest.raises(NotAuthenticated, match="header"):
            oidc.principal(issuer.token(header={"typ": kind}))
    assert oidc.principal(issuer.token(header={"typ": "at+jwt"})) == ANA


@pytest.mark.parametrize("presented", ["", "nonsense", "a.b.c", "e30.e30.", "x" * 20_000, "eyJhbGciOiJSUzI1NiIsImtpZCI6WzFdfQ.e30.AA"])
def test_what_is_no_token_is_refused_and_nobody_is_asked(issuer: FakeIssuer, oidc: Oidc, presented: str) -> None:
    with pytest.raises(NotAuthenticated):
        oidc.principal(presented)
    assert issuer.calls == {}


def test_a_rotated_key_is_found_and_invented_key_ids_ask_the_issuer_once_a_minute(issuer: FakeIssuer) -> None:
    now = [0.0]
    keys = IssuerKeys(issuer.url, clock=lambda: now[0])
    oidc = Oidc(OidcConfig(issuer=issuer.url, audience=AUDIENCE, roles=roles_of("")), keys)
    assert oidc.principal(issuer.token()) == ANA
    now[0] = 61
    issuer.rotate()
    assert oidc.principal(issuer.token()) == ANA
    fetched = issuer.calls["/jwks_uri"]
    assert fetched == 2
    for number in range(20):
        with pytest.raises(NotAuthenticated, match="does not publish"):
            oidc.principal(issuer.token(header={"kid": f"invented-{number}"}))
    assert issuer.calls["/jwks_uri"] == fetched
    now[0] = 125
    with pytest.raises(NotAuthenticated, match="does not publish"):
        oidc.principal(issuer.token(header={"kid": "invented"}))
    assert issuer.calls["/jwks_uri"] == fetched + 1


@pytest.mark.parametrize("key_id", [["key-1"], {"id": "key-1"}, 1])
def test_a_published_key_whose_id_is_no_text_is_nobodys_and_the_others_hold(issuer: FakeIssuer, key_id: object) -> None:
    """One such key among the issuer's made every token, of whatever key, a fault of ours."""
    good = issuer._published(issuer.key_id, issuer.key)
    keys = IssuerKeys(issuer.url, f"{issuer.url}/jwks_uri", fetch=lambda _: {"keys": [{**good, "kid": key_id}, good]})
    assert Oidc(OidcConfig(issuer=issuer.url, audience=AUDIENCE, roles=roles_of("")), keys).principal(issuer.token()) == ANA


def test_a_key_that_is_no_longer_published_is_refused_once_the_set_is_old(issuer: FakeIssuer) -> None:
    now = [0.0]
    oidc = Oidc(OidcConfig(issuer=issuer.url, audience=AUDIENCE, roles=roles_of("")), IssuerKeys(issuer.url, clock=lambda: now[0]))
    old = issuer.token()
    assert oidc.principal(old) == ANA
    issuer.rotate()
    now[0] = 601
    with pytest.raises(NotAuthenticated, match="does not publish"):
        oidc.principal(old)


def test_while_the_issuer_is_down_known_keys_go_on_for_an_hour_and_then_nobody_can_say(issuer: FakeIssuer) -> None:
    now = [0.0]
    oidc = Oidc(OidcConfig(issuer=issuer.url, audience=AUDIENCE, roles=roles_of("")), IssuerKeys(issuer.url, clock=lambda: now[0]))
    token = issuer.token()
    assert oidc.principal(token) == ANA
    issuer.is_down, now[0] = True, 700
    assert oidc.principal(token) == ANA
    now[0] = 3700
    with pytest.raises(ProviderUnavailable, match="503"):
        oidc.principal(token)
    asked = sum(issuer.calls.values())
    with pytest.raises(ProviderUnavailable, match="a moment ago"):
        oidc.principal(token)
    assert sum(issuer.calls.values()) == asked, "nobody else waits out the same failure"
    issuer.is_down, now[0] = False, 3710
    assert oidc.principal(token) == ANA


def test_keys_come_over_https_or_from_this_machine_and_from_no_other_issuers_description(issuer: FakeIssuer) -> None:
    with pytest.raises(Misconfigured, match="not https"):
        fetch_json("http://issuer.example/jwks")
    with pytest.raises(ProviderUnavailable, match="another issuer"):
        IssuerKeys(f"{issuer.url}/").key("key-1", "RS256")


def test_elliptic_curves_are_taken_and_a_key_binds_its_algorithm(issuer: FakeIssuer) -> None:
    curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    listed = [
        {**ECAlgorithm.to_jwk(curve.public_key(), as_dict=True), "kid": "ec"},
        {**OKPAlgorithm.to_jwk(edwards.public_key(), as_dict=True), "kid": "ed", "use": "sig"},
        {**OKPAlgorithm.to_jwk(edwards.public_key(), as_dict=True), "kid": "for-encryption", "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        {"kty": "RSA", "n": "broken", "kid": "broken"},
    ]
    keys = IssuerKeys("https://issuer.example", "https://issuer.example/jwks", fetch=lambda _url: {"keys": listed})
    oidc = Oidc(OidcConfig(issuer=issuer.url, audience=AUDIENCE, roles=roles_of("")), keys)
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    assert oidc.principal(jwt.encode(claims, curve, algorithm="ES256", headers={"kid": "ec"})) == ANA
    assert oidc.principal(jwt.encode(claims, edwards, algorithm="EdDSA", headers={"kid": "ed"})) == ANA
    refused = [
        jwt.encode(claims, edwards, algorithm="EdDSA", headers={"kid": "for-encryption"}),
        jwt.encode(claims, "secret" * 8, algorithm="HS256", headers={"kid": "shared"}),
        jwt.encode(claims, curve, algorithm="ES256", headers={"kid": "ed"}),
    ]
    for token in refused:
        with pytest.raises(NotAuthenticated):
            oidc.principal(token)


def test_the_highest_of_several_roles_counts_and_their_words_are_mapped_to_ours(issuer: FakeIssuer) -> None:
    more = {
        "oidc_roles": "spine-admins=admin, readers=viewer",
        "oidc_role_claim": "realm_access.roles",
        "oidc_principal_claim": "preferred_username",
    }
    oidc = Oidc.from_settings(Settings.model_validate({**issuer.settings(), **more}))
    assert oidc is not None
    token = issuer.token(realm_access={"roles": ["readers", "spine-admins", "else"]}, preferred_username="basma.ops", roles=None)
    assert oidc.principal(token) == Principal(tenant_id="acme", id="basma.ops", role=Role.ADMIN)
    with pytest.raises(NotAuthenticated, match="no role"):
        oidc.principal(issuer.token(realm_access={"roles": ["admin"]}, preferred_username="basma.ops"))
    for text in ("spine-admins=king", "admin", "=admin"):
        with pytest.raises(Misconfigured, match="SPINE_OIDC_ROLES"):
            roles_of(text)


@pytest.mark.parametrize(
    "marks",
    [
        {"client_id": "ana"},
        {"azp": "ana"},
        {"gty": "client-credentials"},
        {"idtyp": "app"},
        {"preferred_username": "service-account-robot"},
        {"act": {"sub": "robot"}},
    ],
)
def test_a_program_is_no_person_however_its_issuer_marks_it(issuer: FakeIssuer, oidc: Oidc, marks: dict[str, Any]) -> None:
    assert oidc.principal(issuer.token(**marks)).actor_type is ActorType.EXECUTOR_SYSTEM
    assert oidc.principal(issuer.token(azp="spine-console")).actor_type is ActorType.HUMAN


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
