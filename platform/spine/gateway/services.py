"""What the endpoints work with, made once a process."""

from dataclasses import dataclass
from typing import Self

from spine.clock import BusinessClock
from spine.db import Database
from spine.gateway.rates import Rates
from spine.identity.oidc import Oidc
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.settings import Settings
from spine.temporal import TemporalLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`temporal` connects at its first use, so a gateway starts and answers while Temporal is away; None: not configured."""

    settings: Settings
    database: Database
    registry: Registry
    policy: PolicyTable
    clock: BusinessClock
    temporal: TemporalLoop | None = None
    oidc: Oidc | None = None
    """None: API keys only."""
    rates: Rates | None = None
    """None: not limited, as in tests and benchmarks."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Raises Misconfigured, naming what to set."""
        return cls(
            settings=settings,
            database=Database.from_settings(settings),
            registry=Registry.load(),
            policy=PolicyTable.load(zone=settings.timezone),
            clock=settings.business_clock(),
            temporal=TemporalLoop.from_settings(settings) if settings.temporal_address else None,
            oidc=Oidc.from_settings(settings),
            rates=Rates.from_settings(settings),
        )

    def close(self) -> None:
        """Repeatable. The Temporal client is let go of before the process ends (trap 34a)."""
        if self.temporal is not None:
            self.temporal.close()
        self.database.close()
