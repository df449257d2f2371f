"""What secrets look like: by their own form (keys, tokens, private keys), or by the name that stands before them."""

import base64
import binascii
import re
from collections.abc import Iterator

_HINTS = (
    *("sk.", "sk-", "whsec_", "eyj", "private key", "akia", "asia", "xox", "://", "bearer", "basic", "authorization"),
    *("passw", "passphrase", "pwd", "secret", "token", "key", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
)
# Each has one group, the secret itself; what surrounds it stays readable.
_BY_FORM = re.compile(
    r"""
      (?P<pem> -----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z0-9 ]{0,40}-----|\Z) )
    | \b (?P<jwt> eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)? )
    | \b (?P<key> sk[.-][\w.-]{6,} | whsec_[\w+/=-]+ | (?:AKIA|ASIA)[0-9A-Z]{16}\b | gh[pousr]_\w{20,} | xox[abprs]-[\w-]{10,} )
    | :// [^\s/:@]* : (?P<url> [^\s/]+ ) @
    """,
    re.VERBOSE | re.DOTALL,
)
_BY_SCHEME = re.compile(r"(?i)\bbearer\s+(?P<bearer>[\w.~+/=-]{8,})|\bbasic\s+(?P<basic>[A-Za-z0-9+/]{8,}={0,2})")
_BY_NAME = re.compile(
    r"""(?ix)
    \b authorization ['"]? \s*[:=]\s* ['"]? (?:[a-z]+\s+)?+ (?P<header> (?!(?:sk\.)?<) [^\s'",}]{4,} )
    | (?<![\w-]) [\w-]{0,40}? (?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)
      (?:['"]?\s*[:=]\s*['"]?) (?P<named> (?!\[secret\]|(?:sk\.)?<) [^\s'",}&]+ )
    """
)
NAMES = re.compile(
    r"(?i)(?:^|[_-])(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization)$"
)
"""Field names whose text is a secret, whatever it looks like."""


def may_hold_one(text: str) -> bool:
    """Whether it is worth a closer look. Never no where `spans` would find one."""
    lowered = text.lower()
    for hint in _HINTS:  # noqa: SIM110 - any() takes twice as long, and this runs on every string of every boundary
        if hint in lowered:
            return True
    return False


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets are, the more certain forms first; they may overlap."""
    for pattern in (_BY_FORM, _BY_SCHEME, _BY_NAME):
        for found in pattern.finditer(text):
            kind = str(found.lastgroup)
            if (kind == "basic" and not _is_basic(found[kind])) or (kind == "bearer" and found[kind].isalpha()):
                continue  # "basic information", "bearer certificates"
            yield found.span(kind)


def _is_basic(encoded: str) -> bool:
    """RFC 7617: user:password in base64."""
    try:
        return b":" in base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        return False
