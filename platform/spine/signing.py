"""Keys of the installation, one for each purpose, all derived from SPINE_TOKEN_KEY (HKDF, RFC 5869).

Two purposes never share a key, so what was made for one means nothing to the other. Changing SPINE_TOKEN_KEY voids the approval
tokens that are out, which live for minutes, and makes stored webhook secrets unreadable: add those anew afterwards.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from spine.errors import Misconfigured
from spine.settings import Settings

_SHORTEST = 32


def derived_key(settings: Settings, purpose: str) -> bytes:
    """32 bytes for `purpose`, the same in every process of the installation. Raises Misconfigured."""
    secret = settings.require("token_key")
    if len(secret) < _SHORTEST:
        raise Misconfigured(f"SPINE_TOKEN_KEY has {len(secret)} characters: make one of at least {_SHORTEST}, `openssl rand -base64 32`")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"spine/{purpose}".encode()).derive(secret.encode())
