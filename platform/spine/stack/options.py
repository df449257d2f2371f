"""What a caller may choose about the stack, and the ports it takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spine.errors import Misconfigured
from spine.stack.ports import free_ports

DEFAULT_PORTS: Mapping[str, int] = {
    "postgres": 15432,
    "temporal": 7233,
    "temporal-ui": 8233,
    "temporal-http": 7243,
    "temporal-metrics": 7244,
    "dagster": 3000,
    "data_jobs.definitions": 14001,
    "data_jobs.triggers": 14002,
    "gateway": 8000,
    "provider-smtp": 1025,
    "provider-http": 8025,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    ports: str = "default"  # "default", "auto" for free ones, or the first number of a row of them
    # E-mail, CRM and e-signature on loopback: always (nothing leaves this machine), never, or (None) for those without an address.
    providers: bool | None = None
    provider_arguments: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()  # parts that somebody runs by hand, under a debugger say
    environment: Mapping[str, str] = field(default_factory=dict)  # for every part, such as SPINE_CLOCK


def choose_ports(how: str) -> dict[str, int]:
    """Raises Misconfigured for anything but `default`, `auto` or a number with room above it."""
    if how == "default":
        return dict(DEFAULT_PORTS)
    if how == "auto":
        return dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))
    if how.isdecimal() and 1024 <= int(how) <= 65_000:
        return {name: int(how) + offset for offset, name in enumerate(DEFAULT_PORTS)}
    raise Misconfigured(f"--ports {how!r} is none of default, auto, or a first port from 1024 to 65000")
