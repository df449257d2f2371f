"""One payload, one digest: SHA-256 over RFC 8785 canonical JSON.

An approval is bound to the digest of what was judged; the effect computes it again from what it is about to send.
Numbers are JSON numbers, so money travels as a decimal *string* or in minor units, never as a float.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from spine.errors import InvalidInput


def canonical(payload: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a JSON object. Raises InvalidInput for what JSON cannot hold exactly (NaN, big integers, datetimes)."""
    try:
        return rfc8785.dumps(dict(payload))
    except (rfc8785.CanonicalizationError, TypeError, ValueError) as error:
        raise InvalidInput(f"payload cannot be written as canonical JSON: {error}") from error


def digest(payload: Mapping[str, Any]) -> str:
    """`sha256:<64 hex>` of the canonical bytes."""
    return "sha256:" + hashlib.sha256(canonical(payload)).hexdigest()
