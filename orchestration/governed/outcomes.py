"""How an effect that was wanted ended: a closed union, handled with `match` and `assert_never`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The provider has it. `reference` is the provider's own name for it."""

    intent_id: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The gate said no; nobody was asked."""

    intent_id: str
    code: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A person said no."""

    intent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """Nobody said anything in time, which is a no."""

    intent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """It was no longer wanted while it waited, or somebody cancelled it."""

    intent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The provider refused it for good, or could not be reached in all the time there was."""

    intent_id: str
    code: str
    why: str


Outcome = Done | Denied | Rejected | Expired | Withdrawn | Failed
