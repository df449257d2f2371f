"""How the providers misbehave on demand, and what signers answer."""

import threading
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Mode = Literal["refuse", "unavailable", "hang", "lose_answer", "slow", "late"]


class Trouble(BaseModel):
    """What happens to the next requests of a provider that contain `matching`, `times` times (0: until further notice).

    refuse: no, for good · unavailable: not now, nothing happened · hang: holds the line for `delay_seconds`, then hangs up,
    nothing happened · lose_answer: does it, then hangs up without a word · slow: does it after `delay_seconds` · late: does it at
    once and says so after `delay_seconds`.
    """

    model_config = ConfigDict(extra="forbid")

    provider: Literal["email", "crm", "esign"]
    mode: Mode
    times: int = Field(default=1, ge=0)
    delay_seconds: float = Field(default=0, ge=0)
    matching: str = ""


class Signing(BaseModel):
    """What signers do: sign after a while, unless the envelope's account or deal contains a marker."""

    model_config = ConfigDict(extra="forbid")

    after_seconds: float = Field(default=0.5, ge=0)
    decline_marker: str = "decline"
    expire_marker: str = "expire"
    never_marker: str = "ponder"
    silent: bool = Field(default=False, description="send no webhooks: whoever wants to know has to ask")

    def answer(self, account: str, deal_id: str) -> Literal["completed", "declined", "expired"] | None:
        text = f"{account} {deal_id}".lower()
        for marker, status in ((self.decline_marker, "declined"), (self.expire_marker, "expired"), (self.never_marker, None)):
            if marker and marker.lower() in text:
                return status  # type: ignore[return-value]
        return "completed"


class Behaviour:
    """Thread-safe; consumed as requests come."""

    def __init__(self, signing: Signing | None = None) -> None:
        self.signing = signing or Signing()
        self._lock = threading.Lock()
        self._troubles: list[Trouble] = []

    def add(self, trouble: Trouble) -> Self:
        with self._lock:
            self._troubles.append(trouble)
        return self

    def clear(self) -> None:
        with self._lock:
            self._troubles.clear()

    def next(self, provider: str, text: str) -> Trouble | None:
        """The trouble that this request meets, used up by one."""
        with self._lock:
            for place, trouble in enumerate(self._troubles):
                if trouble.provider == provider and trouble.matching in text:
                    if trouble.times == 1:
                        del self._troubles[place]
                    elif trouble.times > 1:
                        self._troubles[place] = trouble.model_copy(update={"times": trouble.times - 1})
                    return trouble
        return None
