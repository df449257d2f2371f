"""Trees as RFC 6962 defines them, against the definition itself and a published example."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spine.audit.merkle import leads_to, leaf_hash, path_of, root_of

LEAVES = st.lists(st.binary(max_size=8).map(leaf_hash), min_size=1, max_size=40)


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """Section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


def test_the_hash_of_one_empty_leaf_is_the_published_one() -> None:
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@settings(deadline=None)
@given(LEAVES)
def test_a_tree_is_the_one_of_the_definition(leaves: list[bytes]) -> None:
    assert root_of(leaves) == by_definition(leaves)


@settings(deadline=None)
@given(LEAVES, st.data())
def test_every_leaf_has_a_path_to_the_root_and_no_other_leaf_takes_it(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = path_of(leaves, index)
    assert leads_to(leaves[index], index, len(leaves), path) == root_of(leaves)
    assert leads_to(leaf_hash(b"another leaf"), index, len(leaves), path) != root_of(leaves)
    assert leads_to(leaves[index], index, len(leaves), [*path, path[-1] if path else leaves[0]]) is None
    assert leads_to(leaves[index], len(leaves), len(leaves), path) is None


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_that_is_not_there_has_no_path(index: int) -> None:
    with pytest.raises(IndexError):
        path_of([leaf_hash(b"a")] * 3, index)
