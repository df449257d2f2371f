"""Defect 1: the gate asked for an approval token and took any text that was not empty; nobody ever made one, or looked at it.

Here a token is made for one named person and one request, signed, bound to what was looked at, spent once, and short-lived; whatever else
is presented in its place decides nothing. (tests/identity/test_approval_tokens.py has the particulars.)
"""

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.gateway.conftest import Door, door, refused

__all__ = ["door", "refused"]

Refused = Callable[..., dict[str, Any]]
KNOWN = "a key for tokens, of forty characters .."


def _spend(door: Door, token: str) -> Any:
    return door.client.post("/v1/approvals/decide-by-token", json={"token": token, "verdict": "approve"})


@pytest.mark.parametrize("token", ["ok", "true", "approved", "x", "1", "Bearer ok", "e30.e30.e30", "null"])
def test_text_that_is_not_empty_is_no_approval(door: Door, refused: Refused, token: str) -> None:
    approval_id = door.message()
    refused(_spend(door, token), 401, "not-authenticated", "no approval token")
    assert door.get(f"/v1/approvals/{approval_id}").json()["state"] == "pending"
    assert door.count("intents", "state in ('runnable', 'executing', 'completed')") == 0


def test_an_id_is_no_token_and_a_token_of_one_request_is_none_for_another(door: Door, refused: Refused) -> None:
    mine, other = door.message(), door.message(key="lead-2")
    answer = door.post(f"/v1/approvals/{mine}/tokens", {}, "ana").json()
    for text in (mine, answer["token_id"], answer["digest"], door.key("ana")):
        refused(_spend(door, text), 401, "not-authenticated")
    said = jwt.decode(answer["token"], options={"verify_signature": False})
    moved = jwt.encode({**said, "approval": other}, KNOWN, algorithm="HS256")
    refused(_spend(door, moved), 401, "not-authenticated")
    assert _spend(door, answer["token"]).json()["approval_id"] == mine
    assert door.get(f"/v1/approvals/{other}").json()["state"] == "pending"


def test_an_approval_token_in_a_payload_means_nothing(door: Door) -> None:
    """What the old gate looked for, beside what is proposed."""
    approval_id = door.message()
    payload = {"contact_id": "contact/globex", "subject": "Hello", "body": "Shall we talk?", "approval_token": "ok"}
    answer = door.post(f"/v1/approvals/{approval_id}/decisions", {"verdict": "edit", "payload": payload}, "ana")
    assert answer.status_code == 422, answer.json()
    assert door.count("intents", "state = 'runnable'") == 0
