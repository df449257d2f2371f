"""Canonical JSON: the quick way writes what the library writes, byte for byte, and refuses what it refuses."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from spine.canonical import canonical, exact_digest
from spine.errors import InvalidInput

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(0, 1000)
    | st.text(max_size=8)
    | st.text('\x00\x1f\x7f"\\\u2028é\U0001f600\ue000/ab', max_size=8)
)
NAMES = st.text('ab\x7f"é\U0001f600\ue000', max_size=3)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_every_object_is_written_as_the_standard_says(payload: dict[str, Any]) -> None:
    try:
        expected = rfc8785.dumps(payload)
    except (rfc8785.CanonicalizationError, ValueError):
        with pytest.raises(InvalidInput):
            canonical(payload)
    else:
        assert canonical(payload) == expected


@pytest.mark.parametrize("number", [0.9, 1e-4, 9.9e-5, 1e-7, 0.0, -0.0, 1.0, 1e15, 123456789.5, 1e21, 2**53 - 1, 5e-324])
def test_numbers_are_spelled_as_the_standard_says(number: float) -> None:
    assert canonical({"number": number}) == rfc8785.dumps({"number": number})


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InvalidInput, match="canonical JSON"):
        exact_digest({"name": "\ud800"})


@pytest.mark.parametrize("leaf", [1, 1e21], ids=["plain", "by the library"])
@pytest.mark.parametrize("levels", [2_000, 50_000])
def test_what_is_nested_beyond_the_stack_is_refused_with_the_cure(leaf: float, levels: int) -> None:
    payload: dict[str, Any] = {"a": leaf}
    for level in range(levels):
        payload = {"a": [payload]} if level % 2 else {"a": payload}
    with pytest.raises(InvalidInput, match=r"nested too deeply.*send a reference"):
        exact_digest(payload)


def test_what_holds_itself_is_refused() -> None:
    payload: dict[str, Any] = {}
    payload["a"] = payload
    with pytest.raises(InvalidInput, match="nested too deeply"):
        canonical(payload)
