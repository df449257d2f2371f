"""How much one credential, and one address with wrong credentials, may ask: moving windows, kept in this process.

So the limits hold for each gateway process: with several behind a balancer a caller gets as many times as much. What they are for is
a loop that ran away and a guesser, not billing. The windows are real time.
"""

import hashlib
import threading
import time
from typing import Self

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from spine.errors import Misconfigured, RateLimited
from spine.settings import Settings, variable_of

_KNOWN = 4096  # credentials that were proved here lately, by digest; the oldest is forgotten first


class Rates:
    """Thread-safe; about 10 µs a request."""

    def __init__(self, calls: RateLimitItem | None, failures: RateLimitItem | None) -> None:
        self._calls = calls
        self._failures = failures
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._proved: dict[str, None] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Raises Misconfigured for a limit that cannot be read."""
        return cls(_limit(settings, "rate_limit"), _limit(settings, "failure_limit"))

    def admit(self, credential: str, address: str) -> str:
        """Count one call, and name the credential for `proved` and `failed`.

        Raises RateLimited when the credential has had its share, or when too many wrong ones came from the address.

        A credential that was proved in this process is not held to account for its neighbours behind the same address.
        """
        whose = _named(credential)
        if self._failures is not None and whose not in self._proved and not self._limiter.test(self._failures, "address", address):
            raise self._refusal(self._failures, "address", address, "too many wrong credentials came from this address")
        if self._calls is not None and not self._limiter.hit(self._calls, "key", whose):
            raise self._refusal(self._calls, "key", whose, "this key has made as many calls as it may")
        return whose

    def proved(self, whose: str) -> None:
        """The credential holds: remember that, for `admit`."""
        if whose not in self._proved:
            with self._lock:
                self._proved[whose] = None
                if len(self._proved) > _KNOWN:
                    del self._proved[next(iter(self._proved))]

    def failed(self, whose: str, address: str) -> None:
        """The credential is wrong, or is no longer right."""
        with self._lock:
            self._proved.pop(whose, None)
        if self._failures is not None:
            self._limiter.hit(self._failures, "address", address)

    def _refusal(self, limit: RateLimitItem, kind: str, whose: str, why: str) -> RateLimited:
        window = self._limiter.get_window_stats(limit, kind, whose)
        wait = max(1, round(window.reset_time - time.time() + 0.5))
        headers = {
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"{kind}";q={limit.amount};w={limit.get_expiry()}',
            "RateLimit": f'"{kind}";r=0;t={wait}',
        }
        return RateLimited(f"{why}, {limit.amount} in {limit.get_expiry()} seconds: try again in {wait} s", headers=headers)


def _named(credential: str) -> str:
    """Nothing that could be used is kept, not even in memory."""
    return hashlib.sha256(credential.encode()).hexdigest()


def _limit(settings: Settings, name: str) -> RateLimitItem | None:
    text = str(getattr(settings, name)).strip()
    if text == "off":
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise Misconfigured(f"{variable_of(name)}={text!r} is no limit: write one such as '600/minute', or 'off'") from error
