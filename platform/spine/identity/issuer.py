"""The keys of an identity provider, fetched over HTTP and kept: what verifying a token needs of the world outside."""

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from spine.errors import Misconfigured, NotAuthenticated, ProviderRefused, ProviderUnavailable

Fetch = Callable[[str], Mapping[str, Any]]

TIMEOUT_SECONDS = 3.0  # a caller waits meanwhile
FRESH_SECONDS = 600.0  # so long keys are used unasked
STALE_SECONDS = 3600.0  # so long they are used when the issuer does not answer: no outage of theirs of a minute becomes ours
UNKNOWN_SECONDS = 60.0  # between two fetches for a key id that nobody knows: a stream of invented ids is no stream of fetches
FAILED_SECONDS = 5.0  # after a fetch that failed: nobody else waits out the same time-out
_MAX_BYTES = 512 * 1024
_KINDS = {"RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
ALGORITHMS = tuple(_KINDS)  # never none, and nothing with a shared secret: a public key would be that secret

_log = logging.getLogger(__name__)


class IssuerKeys:
    """The issuer's signing keys by (key id, algorithm). Thread-safe; one fetch at a time, and the others wait for it.

    `jwks_url` empty: it is asked of `<issuer>/.well-known/openid-configuration`, whose `issuer` has to be this one.
    """

    def __init__(
        self, issuer: str, jwks_url: str | None = None, *, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._fetch = fetch or fetch_json
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[tuple[str | None, str], PyJWK] = {}
        self._fetched_at = self._asked_at = self._failed_at = float("-inf")

    def key(self, key_id: str | None, algorithm: str) -> PyJWK:
        """The key that a token names. Raises NotAuthenticated for one that is not published, ProviderUnavailable when nobody can say."""
        age = self._clock() - self._fetched_at
        if age <= FRESH_SECONDS and (found := self._keys.get((key_id, algorithm))):
            return found
        with self._lock:
            now = self._clock()
            if now - self._fetched_at > FRESH_SECONDS or (
                (key_id, algorithm) not in self._keys and now - self._asked_at >= UNKNOWN_SECONDS
            ):
                self._refresh(now)
            if found := self._keys.get((key_id, algorithm)):
                return found
        raise NotAuthenticated(f"the token is signed with a key that {self._issuer!r} does not publish: get a new token from there")

    def _refresh(self, now: float) -> None:
        """Raises ProviderUnavailable when there is nothing usable left."""
        usable = now - self._fetched_at <= STALE_SECONDS
        if now - self._failed_at < FAILED_SECONDS:
            if usable:
                return
            raise self._unavailable("it did not a moment ago")
        try:
            found = self._keys_at(self._jwks_url or self._discovered())
        except ProviderUnavailable as error:
            self._failed_at = now
            if not usable:
                raise
            _log.warning("the keys of %r could not be renewed and are used as they are: %s", self._issuer, error)
            return
        self._keys, self._fetched_at, self._asked_at = found, now, now

    def _discovered(self) -> str:
        document = discover(self._issuer, self._fetch)
        return str(document.get("jwks_uri", ""))

    def _keys_at(self, url: str) -> Mapping[tuple[str | None, str], PyJWK]:
        listed = self._fetch(url).get("keys")
        if not isinstance(listed, list):
            raise self._unavailable("what it publishes is no key set")
        found: dict[tuple[str | None, str], PyJWK] = {}
        for one in listed:
            if isinstance(one, dict) and (algorithm := _algorithm_of(one)):
                try:
                    found[one.get("kid"), algorithm] = PyJWK.from_dict(one, algorithm=algorithm)
                except PyJWTError as error:
                    _log.warning("a key of %r cannot be used: %s", self._issuer, type(error).__name__)
        return found

    def _unavailable(self, why: str) -> ProviderUnavailable:
        return ProviderUnavailable(f"identity provider {self._issuer!r} does not answer with its keys ({why}): try again in a moment")


def _algorithm_of(key: Mapping[str, Any]) -> str | None:
    """The one algorithm of ours that a published key is for; a key binds its algorithm, whatever a token's header says.

    None for a key that is not for us, also for one whose id is no text (RFC 7517 §4.5): no token can name it.
    """
    if key.get("use", "sig") != "sig" or not isinstance(key.get("kid"), str | None):
        return None
    for algorithm, (kind, curve) in _KINDS.items():
        if key.get("kty") == kind and (curve is None or key.get("crv") == curve) and key.get("alg", algorithm) in (algorithm, "Ed25519"):
            return algorithm
    return None


def discover(issuer: str, fetch: Fetch) -> Mapping[str, Any]:
    """The issuer's own description (OpenID Connect Discovery 1.0 §4). Raises ProviderUnavailable, also for another's description."""
    document = fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise ProviderUnavailable(f"what {issuer!r} says about itself is about another issuer: set SPINE_OIDC_ISSUER to the exact `issuer`")
    return document


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the address that was configured, not from where it points to."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def fetch_json(url: str, form: bytes | None = None, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """GET, or POST a form. Raises Misconfigured for an address without https, ProviderUnavailable for no or no usable answer.

    A form that the other side says no to (400, 401) raises ProviderRefused. Plain http is taken on loopback only: whoever sits on the
    wire could answer with keys of his own. The standard library's client, because import rules keep the platform's governed half from
    speaking HTTP by a better one.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        raise Misconfigured(f"{url!r} is not https: an identity provider is asked over https, or on this machine")
    request = urllib.request.Request(url, data=form, headers={"Accept": "application/json", **(headers or {})})
    try:
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
            document = json.loads(answer.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        status = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        if form is not None and isinstance(error, urllib.error.HTTPError) and error.code in (400, 401):
            raise ProviderRefused(f"{parts.scheme}://{parts.netloc}{parts.path} refuses: {status}") from error
        raise ProviderUnavailable(
            f"{parts.scheme}://{parts.netloc}{parts.path} did not answer as it should ({status}): try again in a moment"
        ) from error
    if not isinstance(document, dict):
        raise ProviderUnavailable(f"{parts.scheme}://{parts.netloc}{parts.path} did not answer with a JSON object")
    return document
