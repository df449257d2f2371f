"""The whole gateway against its own OpenAPI document, over a real database: no 5xx, and no answer that the document does not describe.

Positive data (what fits the schema) and negative data (what does not), the same for everybody by a fixed seed. A few hundred calls
here; many more in the long run.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from spine.identity import Role
from tests.gateway.conftest import Door

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
ENDLESS = {"get_stream"}


def operations(door: Door) -> Iterator[Any]:
    schema = schemathesis.openapi.from_asgi("/openapi.json", door.client.app)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.definition.raw["operationId"] not in ENDLESS:
            yield operation


def headers_of(door: Door) -> dict[str, str]:
    return {"Authorization": f"Bearer {door.key('root', role=Role.ADMIN)}", "Idempotency-Key": str(uuid4())}


@pytest.mark.parametrize(
    ("mode", "examples"),
    [
        pytest.param(GenerationMode.POSITIVE, 5, id="positive"),
        pytest.param(GenerationMode.NEGATIVE, 3, id="negative"),
        pytest.param(GenerationMode.POSITIVE, 250, id="positive, long", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
        pytest.param(GenerationMode.NEGATIVE, 250, id="negative, long", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
def test_every_call_is_answered_as_the_document_says(door: Door, mode: GenerationMode, examples: int) -> None:
    door.message()
    door.statement()
    found, called = {}, 0
    for operation in operations(door):

        @seed(20261122)
        @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=st.just(None).flatmap(lambda _, operation=operation: operation.as_strategy(generation_mode=mode)))  # type: ignore[misc]
        def call(case: Any) -> None:
            nonlocal called
            called += 1
            headers = headers_of(door)
            if mode is GenerationMode.NEGATIVE:  # there the header may be what is wrong
                del headers["Idempotency-Key"]
            answer = case.call(headers=headers)
            case.validate_response(answer, checks=CHECKS)

        try:
            call()
        except Unsatisfiable:
            continue  # it takes nothing that could be wrong
        except BaseException as error:  # all findings at once: one run tells everything that is to be mended
            if isinstance(error, KeyboardInterrupt):
                raise
            found[operation.label] = str(error)[:1500]
    assert found == {}, "\n\n".join(f"{label}\n{why}" for label, why in found.items())
    assert called > 100
