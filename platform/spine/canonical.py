"""One payload, one digest: SHA-256 over RFC 8785 canonical JSON.

An approval is bound to the digest of what was judged; the effect computes it again from what it is about to send.
Numbers are JSON numbers, so money travels as a decimal *string* or in minor units, never as a float.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import rfc8785

from spine.errors import InvalidInput

_LONG_NUMBER = re.compile(rb"[0-9]{16}")  # whole floats beyond 2^53 have as many digits; identifiers may, and lose a moment
_EXACT = 2**53  # beyond it a JSON number is not exact everywhere, and RFC 8785 refuses it
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # the escape itself, not a backslash that is followed by the same letters


def canonical(payload: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a JSON object. Raises InvalidInput for what JSON cannot hold exactly (NaN, big integers, datetimes), and for
    what is nested beyond the interpreter's stack: some hundreds of levels."""
    try:
        if _is_plain(payload):
            return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        return rfc8785.dumps(dict(payload))
    except (rfc8785.CanonicalizationError, TypeError, ValueError) as error:
        raise InvalidInput(f"payload cannot be written as canonical JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput(
            "payload is nested too deeply for canonical JSON: flatten it, or send a reference to the data instead"
        ) from error


def _is_plain(value: Any) -> bool:
    """Whether the standard library, which does it in C and many times as fast, writes the bytes that RFC 8785 asks for.

    So it is with names in ASCII, whose order by code points is the order by UTF-16 units, and with numbers that nobody writes with an
    exponent: both take the shortest digits that come back as the same number.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is dict:
        return all(type(name) is str and name.isascii() and _is_plain(item) for name, item in value.items())
    if kind is list:
        return all(map(_is_plain, value))
    if kind is float:
        return 1e-4 <= abs(value) < 1e15 and not value.is_integer()
    return kind is int and -_EXACT < value < _EXACT


def digest(payload: Mapping[str, Any]) -> str:
    """`sha256:<64 hex>` of the canonical bytes."""
    return "sha256:" + hashlib.sha256(canonical(payload)).hexdigest()


def exact_digest(payload: Mapping[str, Any]) -> str:
    """The digest of a payload that will be stored as JSON and digested again when it is used.

    Raises InvalidInput for what would come back as something else: whole floats beyond 2^53, NUL characters (PostgreSQL's
    JSON has none), and whatever `canonical` refuses.
    """
    written = canonical(payload)
    if _NUL.search(written):
        raise InvalidInput("payload holds a NUL character, which cannot be stored: remove it")
    if _LONG_NUMBER.search(written) is None:  # then reading it back and writing it again gives the same bytes
        return "sha256:" + hashlib.sha256(written).hexdigest()
    return digest(json.loads(written))
