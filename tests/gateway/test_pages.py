"""Every listing pages the same way: `limit`, `cursor`, `items`, `next`."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.conftest import Door

Refused = Callable[..., dict[str, Any]]
TASK = {"automation": "contract-signature", "payload": {"value": "10.00"}}


def walked(door: Door, path: str, *, limit: int, part: str = "items", **more: str) -> list[dict[str, Any]]:
    """All pages of a listing, each asked for by the cursor of the one before."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        answer = door.get(path, params={"limit": str(limit), **more, **cursor})
        assert answer.status_code == 200, answer.json()
        page = answer.json()
        assert len(page[part]) <= limit
        found += page[part]
        cursor = {"cursor": page["next"]} if page["next"] else None
    return found


def test_every_page_of_approvals_comes_once_in_any_state(door: Door) -> None:
    made = [door.message(key=f"lead-{number}") for number in range(5)]
    door.post(f"/v1/approvals/{made[1]}/decisions", {"verdict": "approve", "reason": "ok"})
    door.post(f"/v1/approvals/{made[3]}/decisions", {"verdict": "reject", "reason": "not now"})
    assert [one["approval_id"] for one in walked(door, "/v1/approvals", limit=2)] == [made[0], made[2], made[4]]
    assert [one["approval_id"] for one in walked(door, "/v1/approvals", limit=2, state="any")] == made[::-1]
    assert [one["approval_id"] for one in walked(door, "/v1/approvals", limit=2, state="rejected")] == [made[3]]


def test_every_page_of_intents_comes_once(door: Door) -> None:
    made = [door.message(key=f"lead-{number}") for number in range(5)]
    listed = walked(door, "/v1/intents", limit=2, automation="contract-signature")
    assert [one["key"] for one in listed] == [f"lead-{number}" for number in range(len(made))][::-1]


def test_automations_are_listed_by_name_page_by_page(door: Door) -> None:
    assert [one["name"] for one in walked(door, "/v1/automations", limit=1)] == ["contract-signature", "thinking"]


def test_a_journey_is_read_in_pages_whose_steps_are_those_of_the_whole(door: Door) -> None:
    path = f"/v1/approvals/{door.message(correlation_id='long')}/decisions"
    door.post(path, {"verdict": "approve", "reason": "ok"})
    whole = door.get("/v1/journeys/long").json()
    assert whole["next"] is None
    assert len(whole["steps"]) > 6
    assert walked(door, "/v1/journeys/long", limit=2, part="steps") == whole["steps"]


@pytest.mark.parametrize("path", ["approvals", "intents", "events", "automations", "journeys/long"])
def test_a_cursor_that_no_listing_gave_is_refused(door: Door, refused: Refused, path: str) -> None:
    door.message(correlation_id="long")
    for cursor in ("nonsense", "W10", "WyJ4Il0", "bnVsbA", "W1s" * 100):
        answer = door.get(f"/v1/{path}", params={"cursor": cursor})
        if path == "automations" and cursor == "WyJ4Il0":  # ["x"], which a listing by name may well have given
            assert answer.status_code == 200
        else:
            refused(answer, 400, "invalid-input", "cursor")
