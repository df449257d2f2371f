"""An identity provider on loopback: discovery, a key set that rotates, tokens made to order, and the token endpoint of a login.

with FakeIssuer() as issuer:
    issuer.token(tenant="acme", sub="ana", roles=["approver"])
    issuer.rotate()
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

AUDIENCE, CLIENT = "spine-api", "spine-console"


class FakeIssuer:
    """`calls` counts what was asked, by path. `is_down` answers 503; `login` is what the token endpoint will say to whoever comes."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.forms: list[dict[str, str]] = []
        self.is_down = False
        self.login: dict[str, Any] = {}
        self.key_id, self.key = "key-1", _new_key()
        self.published = {self.key_id: self.key}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def settings(self) -> dict[str, str]:
        """As overrides of `spine.settings.Settings`."""
        return {"oidc_issuer": self.url, "oidc_audience": AUDIENCE, "oidc_client_id": CLIENT}

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is published no longer."""
        self.key_id, self.key = f"key-{int(self.key_id[4:]) + 1}", _new_key()
        self.published = {self.key_id: self.key}

    def token(self, *, key: RSAPrivateKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good access token, but for what is named; a claim given as None is left out."""
        made = {**self._claims(), "tenant": "acme", "sub": "ana", "roles": ["approver"], **claims}
        made = {name: value for name, value in made.items() if value is not None}
        return jwt.encode(made, key or self.key, algorithm="RS256", headers={"kid": self.key_id, **(header or {})})

    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def _claims(self) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.url, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300}

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.calls[path] = self.calls.get(path, 0) + 1
        if self.is_down:
            return 503, {}
        match path:
            case "/.well-known/openid-configuration":
                places = {name: f"{self.url}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
                return 200, {"issuer": self.url, **places}
            case "/jwks_uri":
                return 200, {"keys": [self._published(key_id, key) for key_id, key in self.published.items()]}
            case "/token_endpoint":
                self.forms.append(form)
                return (200, self.login) if self.login else (400, {"error": "invalid_grant"})
        return 404, {}

    @staticmethod
    def _published(key_id: str, key: RSAPrivateKey) -> dict[str, Any]:
        return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig", "alg": "RS256"}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _handler(issuer: FakeIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self._answer({name: values[0] for name, values in parse_qs(text).items()})

        def _answer(self, form: dict[str, str]) -> None:
            status, body = issuer.answer(self.path, form)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Silence: tests read what they need from `calls`."""

    return Handler
