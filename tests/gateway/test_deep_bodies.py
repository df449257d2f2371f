"""What is nested beyond use is refused at the door, in words, and is no fault of ours."""

import pytest

from spine.identity import Role
from tests.gateway.conftest import Door


@pytest.mark.parametrize(("levels", "status"), [(70, 422), (900, 422), (20_000, 400)])
def test_a_body_that_is_nested_beyond_use_is_refused(door: Door, levels: int, status: int) -> None:
    body = b'{"automation": "outreach-sequence", "payload": {"a": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}}"
    credential = door.key("omar", role=Role.OPERATOR)
    headers = {"authorization": f"Bearer {credential}", "content-type": "application/json", "idempotency-key": "deep-1"}
    answer = door.client.post("/v1/tasks", content=body, headers=headers)
    assert answer.status_code == status
    assert "nested too deeply" in answer.json()["detail"]
    assert door.count("intents") == 0
