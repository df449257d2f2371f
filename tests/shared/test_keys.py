"""Keys are short, safe, stable, and apart."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.events import DealWon, LeadQualified, TaskRequested, keys
from shared.events.wire import ContactRef
from tests.shared.samples import SAMPLES

SAFE = re.compile(r"[A-Za-z0-9._:-]{1,96}")
PARTS = st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4)


@given(PARTS)
def test_every_key_is_short_and_safe_for_ids_headers_and_paths(parts: list[str]) -> None:
    assert SAFE.fullmatch(keys.key_of(*parts))


@given(PARTS, PARTS)
def test_different_parts_give_different_keys(one: list[str], other: list[str]) -> None:
    if one != other:
        assert keys.key_of(*one) != keys.key_of(*other)


def test_parts_are_kept_apart() -> None:
    assert keys.key_of("a", "bc") != keys.key_of("ab", "c")
    assert keys.key_of("a:b") != keys.key_of("a", "b")


@pytest.mark.parametrize("parts", [(), ("",), ("a", "")])
def test_an_empty_part_is_refused_because_it_would_make_strangers_one(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="none of them empty"):
        keys.key_of(*parts)


def test_an_address_that_somebody_took_for_an_id_does_not_show() -> None:
    key = keys.sequence_message("demo", "first-touch", "someone@example.com", date(2026, 11, 22))
    assert "someone" not in key
    assert "example" not in key


def test_the_recipes_read_the_events_they_are_for() -> None:
    lead = next(event for event in SAMPLES if isinstance(event, LeadQualified))
    deal = next(event for event in SAMPLES if isinstance(event, DealWon))
    task = next(event for event in SAMPLES if isinstance(event, TaskRequested))
    assert (keys.per_lead(lead), keys.per_deal(deal), keys.per_task(task)) == ("L-1", "D-1", "L-1")


def test_keys_never_change_because_ledgers_remember_them() -> None:
    assert keys.sequence_step("L-1", 2) == "L-1:step-2"
    assert keys.sequence_message("demo", "t1", "c-1", date(2026, 11, 22)) == "demo:t1:c-1:2026-11-22"
    assert keys.workflow_step("send-0") == "send-0:r1"
    assert keys.workflow_step("send-0", 2) == "send-0:r2"
    assert keys.provider_request("demo", "I-1") == "demo:I-1"
    assert keys.crm_upsert("demo", "contact", "c-1") == "demo:contact:c-1"
    assert keys.approval_notice("A-1", 2) == "A-1:level-2"
    assert keys.agent_task("demo", "t-1") == "demo:t-1"
    assert keys.notification("smtp", "m-1") == "smtp:m-1"
    assert keys.payout_batch("2026-10") == "payout:2026-10"
    assert keys.last_good_evaluation("abc") == "evaluation:abc"
    assert keys.published_row("leads_scored", "lead.qualified", "L-1") == "leads_scored:lead.qualified:L-1"
    assert keys.webhook("esign", "msg-1") == "esign:msg-1"
    assert keys.file_content(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert keys.key_of("two words") == "sha256:bb02eac40b002ac819e7083687d6497705335268"


def test_the_planes_agree_on_a_contact_without_sharing_a_table() -> None:
    assert keys.contact_ref("Isdom") == keys.contact_ref(" isdom ") == "contact/isdom"
    assert keys.contact_ref("Zathunicon & Söhne / Riyadh") == "contact/zathunicon-söhne-riyadh"
    with pytest.raises(ValueError, match="no letter or digit"):
        keys.contact_ref(" - ")


@given(st.text(min_size=1, max_size=60).filter(lambda account: any(character.isalnum() for character in account)))
def test_a_contact_reference_fits_the_events_that_carry_it(account: str) -> None:
    assert TypeAdapter(ContactRef).validate_python(keys.contact_ref(account))
