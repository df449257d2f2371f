"""The master keys of an installation, and on which connections they may be used.

The cipher is loaded when it is first used: workflow modules reach this one, and Temporal's sandbox cannot load a compiled library twice
(trap 20).
"""

import hashlib
import json
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from spine.errors import Misconfigured

if TYPE_CHECKING:
    import psycopg

_NONCE = 12  # bytes, as NIST SP 800-38D wants for GCM; random, and a data key seals far fewer than 2^32 values
_SHORTEST = 32  # characters of a master secret


@dataclass(frozen=True, slots=True)
class Keyring:
    """Master keys by their ids; `current` wraps, all of them unwrap. Its representation tells no key."""

    current: str
    _keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`SECRET[,OLDER…]`, each any text of at least 32 characters without comma or space. Raises Misconfigured.

        To rotate: put a new secret in front, run `spine contacts rewrap`, then take the old one away.
        """
        given = [part for part in re.split(r"[\s,]+", text.strip()) if part]
        if not given or any(len(secret) < _SHORTEST for secret in given):
            raise Misconfigured(
                f"SPINE_VAULT_KEY is not a secret of at least {_SHORTEST} characters, or several of them with commas between"
            )
        keys = {_id_of(secret): _derived(secret) for secret in given}
        return cls(_id_of(given[0]), keys)

    def wrap(self, key: bytes, *bound_to: str) -> str:
        return f"v1.{self.current}.{_sealed(self._keys[self.current], key, 'key', *bound_to)}"

    def unwrap(self, wrapped: str, *bound_to: str) -> bytes:
        """Raises Misconfigured when the master key is not on this ring, or the text is not what was wrapped for this subject."""
        _, _, rest = wrapped.partition(".")
        key_id, _, closed = rest.partition(".")
        if key_id not in self._keys:
            raise Misconfigured(
                f"SPINE_VAULT_KEY lacks master key {key_id!r}, under which this was wrapped: add the older secret behind it"
            )
        return opened(self._keys[key_id], closed, "key", *bound_to)

    def is_current(self, wrapped: str) -> bool:
        return wrapped.startswith(f"v1.{self.current}.")


def closed(key: bytes, text: str, *bound_to: str) -> str:
    """A field's value, encrypted under a data key."""
    return "v1." + _sealed(key, text.encode(), "field", *bound_to)


def opened(key: bytes, text: str, *bound_to: str) -> bytes:
    """Raises Misconfigured for what was not sealed under this key for exactly this purpose."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = urlsafe_b64decode(text)
        return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], _associated(bound_to))
    except (InvalidTag, ValueError) as error:
        raise Misconfigured(
            f"a sealed value of {bound_to!r} does not open: it was moved here, changed, or wrapped under another master key"
        ) from error


_RINGS: "WeakKeyDictionary[psycopg.Connection[Any], Keyring]" = WeakKeyDictionary()


def entrust(connection: "psycopg.Connection[Any]", keyring: Keyring) -> None:
    """Whoever works on this connection may open what it reads. Done by the pool, for each connection that it makes."""
    _RINGS[connection] = keyring


def keyring_of(connection: "psycopg.Connection[Any]") -> Keyring:
    """Raises Misconfigured where no ring was entrusted: an address is neither written nor read without one."""
    try:
        return _RINGS[connection]
    except KeyError:
        raise Misconfigured(
            "SPINE_VAULT_KEY is not set, so addresses can be neither kept nor read: `spine up` makes one; elsewhere set it, or its _FILE"
        ) from None


def _sealed(key: bytes, content: bytes, *bound_to: str) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE)
    return urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, content, _associated(bound_to))).decode()


def _associated(bound_to: tuple[str, ...]) -> bytes:
    return json.dumps(["spine.vault/1", *bound_to]).encode()


def _id_of(secret: str) -> str:
    return hashlib.sha256(b"spine.vault.key-id\0" + secret.encode()).hexdigest()[:12]


def _derived(secret: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"spine.vault.master").derive(secret.encode())
