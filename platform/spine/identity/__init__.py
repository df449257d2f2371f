"""Who is acting: the credentials that are taken, the principals behind them, and what a role may do.

Two credentials give the same `Principal`: an API key (`api_keys`), and a bearer token of the company's identity provider (`oidc`).
`login` is the way of a browser to the second. Import those two by name: they bring a cryptography library that nobody else needs.
"""

from spine.identity.api_keys import (
    KeyRecord,
    authenticate,
    ensure_development_keys,
    is_api_key,
    issue_first_key,
    issue_key,
    list_keys,
    principal_in,
    principal_of,
    revoke_key,
    rotate_key,
    tenant_of,
    whose,
)
from spine.identity.principals import Principal, Role, is_person, is_tenant

__all__ = [
    "KeyRecord",
    "Principal",
    "Role",
    "authenticate",
    "ensure_development_keys",
    "is_api_key",
    "is_person",
    "is_tenant",
    "issue_first_key",
    "issue_key",
    "list_keys",
    "principal_in",
    "principal_of",
    "revoke_key",
    "rotate_key",
    "tenant_of",
    "whose",
]
