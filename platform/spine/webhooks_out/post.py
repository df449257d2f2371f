"""The one place of the platform that speaks HTTP to strangers: one signed POST, by Standard Webhooks 1.0.

`webhook-id` is the event's id in every attempt, so whoever gets it twice knows it; `webhook-timestamp` is real time, that of the attempt;
`webhook-signature` holds one signature for each secret that is active. The body is the event's envelope as CloudEvents writes it. No
redirect is followed, no proxy is asked, and what is answered is not read beyond its status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import httpx
from standardwebhooks import Webhook

from spine.webhooks_out.addresses import Target

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_TIMEOUT = httpx.Timeout(15, connect=5)
_GONE = 410


@dataclass(frozen=True, slots=True)
class Answered:
    """`gone`: the receiver wants nothing any more (410)."""

    status: int

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        return self.status == _GONE


@dataclass(frozen=True, slots=True)
class NotReached:
    """It may have been taken or not: it is sent again, under the same id."""

    why: str


class Poster:
    """Thread-safe, as httpx's client is."""

    def __init__(self, *, verify: bool = True) -> None:
        # trust_env: a proxy of the environment would connect to wherever it thinks that the name leads
        self._client = httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False, verify=verify)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def post(self, target: Target, *, webhook_id: str, body: str, secrets: Sequence[str], now: datetime) -> Answered | NotReached:
        """`now` is real time: receivers refuse what is more than five minutes off."""
        url = httpx.URL(target.url).copy_with(host=target.address)  # the address that was judged, not whatever the name says by now
        default = target.port == (443 if target.is_tls else 80)
        headers = {
            "Host": target.host if default else f"{target.host}:{target.port}",
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "spine-webhooks/1",
            **signed(webhook_id, body, secrets, now),
        }
        try:
            with self._client.stream(
                "POST", url, content=body.encode(), headers=headers, extensions={"sni_hostname": target.host}
            ) as response:
                return Answered(response.status_code)
        except httpx.TransportError as error:
            return NotReached(type(error).__name__)


def signed(webhook_id: str, body: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The three headers of Standard Webhooks."""
    at = now.astimezone(UTC).replace(microsecond=0)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(webhook_id, at, body) for secret in secrets),
    }
