"""Identifiers: time-ordered for rows and events, derived where a retry must arrive at the same one."""

import uuid

import uuid_utils
import uuid_utils.compat

_NAMESPACE = uuid.UUID("6f3c2a52-6c0e-5b4e-9a52-0e1d5f1f6a10")  # ours, made once; never change it: derived ids depend on it


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): sortable by creation time to the millisecond."""
    return uuid_utils.compat.uuid7()


def new_id_text() -> str:
    """`new_id` as text, for rows and records that keep it so: a third of the way by way of a UUID."""
    return str(uuid_utils.uuid7())


def derived_id(*parts: str) -> uuid.UUID:
    """The same UUIDv5 for the same parts, for ever; parts are kept apart, so ("a", "bc") differs from ("ab", "c")."""
    return uuid.uuid5(_NAMESPACE, "\x1f".join(parts))
