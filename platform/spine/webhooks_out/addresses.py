"""Where a webhook may go: https, to the public internet, at an address that was looked at and is the one that is used.

Whoever may add an endpoint chooses where a process inside our walls connects to (SSRF), so private, loopback, link-local and reserved
addresses are refused, at registration and again at each attempt, since a name may point elsewhere by then. `SPINE_WEBHOOKS_MAY_BE_PRIVATE`
opens them for development; http is for loopback only, even then.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from spine.errors import InvalidInput

Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One address that was judged, and how to ask for the URL there without asking the name service again."""

    url: str
    host: str
    address: str
    port: int
    is_tls: bool


def resolve(host: str, port: int) -> list[str]:
    """Raises OSError."""
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError as error:  # a label that is empty, or longer than 63 characters
        raise OSError(f"{host!r} is no name of a host: {error}") from error


def refuse_unfit(url: str) -> None:
    """What can be told from the text. Raises InvalidInput, naming what is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"webhook URL {url!r} is none: {error}") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise InvalidInput(f"webhook URL {url!r} is not https://host/path")
    if parts.username or parts.password:
        raise InvalidInput("a webhook URL carries no user or password: the signature is the proof")
    if parts.fragment or port == 0 or any(not char.isprintable() or char == " " for char in url):
        raise InvalidInput(f"webhook URL {url!r} has no place for a fragment, port 0 or blanks")


def target_of(url: str, *, may_be_private: bool, lookup: Resolve = resolve) -> Target:
    """Where to connect for `url`. Raises InvalidInput when any of its addresses is not allowed, OSError when it has none."""
    refuse_unfit(url)
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    addresses = lookup(host, port)
    if not addresses:
        raise OSError(f"{host!r} has no address")
    for text in addresses:
        _judge(url, text, is_tls=is_tls, may_be_private=may_be_private)
    return Target(url=url, host=host, address=addresses[0], port=port, is_tls=is_tls)


def _judge(url: str, text: str, *, is_tls: bool, may_be_private: bool) -> None:
    address = ip_address(text.partition("%")[0])
    for carried in ("ipv4_mapped", "sixtofour"):  # ::ffff:10.0.0.1 is 10.0.0.1, and 2002:a00:1:: leads to it
        address = getattr(address, carried, None) or address
    if not is_tls and not address.is_loopback:
        raise InvalidInput(f"webhook URL {url!r} is not https: what is sent would be read by everyone on the way")
    # NAT64 (64:ff9b::/96) and IPv4-compatible addresses carry an IPv4 address too; both are reserved, and count as global.
    if not address.is_global or address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False):
        if may_be_private and not (address.is_multicast or address.is_unspecified):
            return
        raise InvalidInput(
            f"webhook URL {url!r} leads into a private network: give a public address, or set SPINE_WEBHOOKS_MAY_BE_PRIVATE=true for "
            "an installation whose admins may reach what it reaches"
        )
