"""One HTTP call to a provider, with an honest answer to "did it happen?"."""

from typing import Any

import httpx
from pydantic import SecretStr

from spine.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable

_TIMEOUT = httpx.Timeout(10, connect=3)
_NOTHING_HAPPENED = {429, 503}


class Provider:
    """A provider's address and credentials. Thread-safe, as httpx's client is."""

    def __init__(self, name: str, base_url: str, token: SecretStr | None, *, timeout: httpx.Timeout = _TIMEOUT) -> None:
        self._name = name
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        self._base_url = base_url.rstrip("/")
        self._client = httpx.Client(headers=headers, timeout=timeout)

    def close(self) -> None:
        self._client.close()

    def change(self, method: str, path: str, body: dict[str, Any], *, idempotency_key: str) -> dict[str, Any]:
        """A call that changes something. Raises OutcomeUnknown wherever the request may have been acted on unheard."""
        try:
            response = self._client.request(method, self._url(path), json=body, headers={"Idempotency-Key": idempotency_key})
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderUnavailable(f"{self._name} could not be reached: {type(error).__name__}") from error
        except httpx.TransportError as error:
            raise OutcomeUnknown(f"{self._name} took the request and did not answer: {type(error).__name__}") from error
        status = response.status_code
        if status in _NOTHING_HAPPENED:
            raise ProviderUnavailable(f"{self._name} answered {status}: not now")
        if status >= 500 or status == 408:
            raise OutcomeUnknown(f"{self._name} answered {status}, which does not say whether it happened")
        if not 200 <= status < 300:
            raise ProviderRefused(f"{self._name} answered {status} to {method} {path.split('/')[0]!r}")
        return self._json(response)

    def ask(self, path: str, **query: str) -> dict[str, Any] | None:
        """A call that changes nothing; None when the provider knows no such thing. Raises ProviderUnavailable or ProviderRefused."""
        try:
            response = self._client.get(self._url(path), params=query)
        except httpx.TransportError as error:
            raise ProviderUnavailable(f"{self._name} did not answer: {type(error).__name__}") from error
        if response.status_code == 404:
            return None
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise ProviderUnavailable(f"{self._name} answered {response.status_code}: not now")
        if not 200 <= response.status_code < 300:
            raise ProviderRefused(f"{self._name} answered {response.status_code} to a question")
        return self._json(response)

    def _url(self, path: str) -> str:
        return f"{self._base_url}/{path}" if path else self._base_url  # httpx's own base_url would add a slash that not every server takes

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError as error:
            raise OutcomeUnknown(f"{self._name} answered {response.status_code} with something that is not JSON") from error
        if not isinstance(answer, dict):
            raise OutcomeUnknown(f"{self._name} answered {response.status_code} with a JSON {type(answer).__name__}, not an object")
        return answer
