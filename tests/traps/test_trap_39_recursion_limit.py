"""LangGraph's default recursion limit is 10007: a loop is as good as endless unless somebody says otherwise.

Every graph of ours declares its limit and its deadline, and the runner refuses one that does not.
"""

import dataclasses
from datetime import timedelta

import pytest
from langgraph._internal._config import DEFAULT_RECURSION_LIMIT

from orchestration.graphs.lead_qualification.graph import SPEC
from spine.errors import Misconfigured


def test_the_default_is_no_bound() -> None:
    assert DEFAULT_RECURSION_LIMIT > 1000, "the default has become a bound: look again at what ours are for"


def test_every_graph_of_ours_declares_its_own() -> None:
    SPEC.check()
    assert SPEC.recursion_limit <= 100
    assert SPEC.deadline <= timedelta(minutes=10)


@pytest.mark.parametrize("change", [{"recursion_limit": 0}, {"recursion_limit": DEFAULT_RECURSION_LIMIT}, {"deadline": timedelta(0)}])
def test_one_without_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Misconfigured, match="lead-qualification"):
        dataclasses.replace(SPEC, **change).check()
