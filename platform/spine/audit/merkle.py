"""Merkle trees as in RFC 6962 (Certificate Transparency), section 2.1: SHA-256, leaves and nodes told apart by a first byte.

A tree over n leaves splits at the largest power of two below n, so it grows without changing what was below, and proofs have
at most log2(n) hashes. Hashes are 32 bytes.
"""

import hashlib
from collections.abc import Sequence

SIZE = 32


def leaf_hash(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The tree's hash; of no leaves, the hash of nothing."""
    level = list(leaves)
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:  # level by level: the odd one out goes up as it is, which is the same tree as the standard's recursion
        pairs = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf, from the bottom up. Raises IndexError for a leaf that is not there."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} among {len(leaves)}")
    path, level = [], list(leaves)
    while len(level) > 1:
        if (sibling := index ^ 1) < len(level):
            path.append(level[sibling])
        pairs = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level, index = pairs + level[len(pairs) * 2 :], index // 2
    return path


def leads_to(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a leaf and its path make; None when the path does not fit a tree of that size."""
    if not 0 <= index < size:
        return None
    made, steps = leaf, list(path)
    while size > 1:
        if (index ^ 1) < size:
            if not steps:
                return None
            sibling = steps.pop(0)
            made = _node(sibling, made) if index & 1 else _node(made, sibling)
        index, size = index // 2, (size + 1) // 2
    return None if steps else made


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
