"""Whoever wants to tell a fact finds out here what to say."""

import json

import pytest

from shared.events import ALIASES, CATALOG, check
from spine.cli.event_types import type_detail
from tests.cli.conftest import Spine


def test_every_event_is_listed_with_its_meaning_and_needs_no_key(spine: Spine) -> None:
    listed = spine("events", "types", "--json", person=None).json()
    assert {one["name"] for one in listed} == set(ALIASES)
    assert all(one["meaning"] for one in listed)
    assert {one["name"]: one["told_by"] for one in listed}["approval.resolved"] == "the platform"
    assert "lead.qualified" in spine("events", "types", person=None).out


@pytest.mark.parametrize("event_type", CATALOG)
def test_the_example_of_an_event_passes_its_own_schema(event_type: str) -> None:
    assert check(event_type, type_detail(CATALOG[event_type]).example)


@pytest.mark.parametrize("event_type", [name for name, event in CATALOG.items() if type_detail(event).told_by == "outside"])
def test_every_field_of_what_may_be_told_from_outside_has_a_meaning(event_type: str) -> None:
    assert [field.name for field in type_detail(CATALOG[event_type]).fields if not field.meaning] == []


def test_the_example_that_is_shown_is_published_as_it_is(spine: Spine) -> None:
    shown = spine("events", "show", "lead.qualified", person=None).out
    assert "Estimated probability of winning." in shown
    assert "may be left out" in shown
    example = shown[shown.index("\n{\n") :]
    assert json.loads(example) == spine("events", "show", "lead.qualified", "--json", person=None).json()["example"]
    assert spine("events", "publish", "lead.qualified", "--data", "-", given=example).code == 0


def test_an_event_that_there_is_not_is_refused_with_the_nearest(spine: Spine) -> None:
    done = spine("events", "show", "lead.qualifed", person=None)
    assert (done.code, "did you mean 'lead.qualified'?" in done.error) == (6, True)


def test_the_help_of_publish_says_where_the_types_are(spine: Spine) -> None:
    assert "spine events types" in spine("events", "publish", "--help").out
