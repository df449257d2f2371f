"""Restricted fields, encrypted with a key per person, so that destroying one key erases the person everywhere its fields were copied.

A field is AES-256-GCM under the subject's data key; tenant, subject and field are authenticated with it, so a value moved to another
row does not open. Data keys lie in `subject_keys`, each wrapped by the installation's master key (`spine.keyring`). The database alone
opens nothing, the master key alone neither.

Erasing destroys the data key (crypto-shredding): copies of the field in backups, exports and replicas stay closed, except that a
backup which is older than the erasure still holds the wrapped key: keep backups no longer than the law lets you keep the person, or
rotate and destroy the master key of that time. PostgreSQL keeps the old row version until vacuum passes.
"""

from spine.vault.store import address_mark, destroy, is_erased, is_suppressed, rewrap, seal, suppress, unseal, unseal_all

__all__ = [
    "address_mark",
    "destroy",
    "is_erased",
    "is_suppressed",
    "rewrap",
    "seal",
    "suppress",
    "unseal",
    "unseal_all",
]
