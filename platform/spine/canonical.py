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
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # the escape itself, not a backslash that is followed by the same letters


def canonical(payload: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a JSON object. Raises InvalidInput for what JSON cannot hold exactly (NaN, big integers, datetimes)."""
    try:
        return rfc8785.dumps(dict(payload))
    except (rfc8785.CanonicalizationError, TypeError, ValueError) as error:
        raise InvalidInput(f"payload cannot be written as canonical JSON: {error}") from error


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
