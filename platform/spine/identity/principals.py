"""Principals and roles: somebody who was authenticated, by whatever credential, and what that role may do."""

import re
from dataclasses import dataclass
from enum import StrEnum

from shared.events import ActorType
from spine.errors import NotAllowed

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # as in shared.events.envelope.TenantId
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")  # no @: addresses stay out of records


class Role(StrEnum):
    """From the least to the most; each covers those before it."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # asks for work and publishes facts
    APPROVER = "approver"  # decides
    ADMIN = "admin"  # issues and revokes keys

    def covers(self, needed: "Role") -> bool:
        """May whoever has this role do what `needed` may do?"""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who was authenticated. `id` is a name within the tenant, never an e-mail address: it goes into audit rows."""

    tenant_id: str
    id: str
    role: Role
    actor_type: ActorType = ActorType.HUMAN

    def require(self, needed: Role) -> None:
        """Raises NotAllowed, saying which role is needed."""
        if not self.role.covers(needed):
            raise NotAllowed(
                f"{self.id!r} is {self.role.value!r} in tenant {self.tenant_id!r}; this takes {needed.value!r}: "
                f"use a key of that role, which an admin makes with `spine keys issue --role {needed.value}`"
            )


def is_tenant(text: str) -> bool:
    """Could a tenant be called this? Whether there is one is another question."""
    return _TENANT.fullmatch(text) is not None


def is_person(text: str) -> bool:
    """Could a principal be called this?"""
    return _PRINCIPAL.fullmatch(text) is not None
