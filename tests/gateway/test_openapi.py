"""The OpenAPI document is complete, whoever adds a route: examples that fit, problems, the idempotency header, names and tags."""

from typing import Any

import pytest
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from spine.db import Database
from spine.gateway import openapi
from spine.gateway.app import create_app
from spine.identity import Role
from tests.gateway.conftest import Door, services_over

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    described: dict[str, Any] = create_app(services_over(Database("postgresql://nobody@127.0.0.1:1/nothing"))).openapi()
    return described


def fits(example: Any, schema: dict[str, Any], document: dict[str, Any]) -> str:
    """ "" or what is wrong with it."""
    whole = {**schema, "components": document["components"]}
    found = next(Draft202012Validator(whole).iter_errors(example), None)
    return "" if found is None else f"{list(found.absolute_path)}: {found.message}"


def examples_of(media: dict[str, Any]) -> list[Any]:
    return [one["value"] for one in media.get("examples", {}).values()] + [media[name] for name in ("example",) if name in media]


def routes_of(routes: list[Any]) -> list[APIRoute]:
    """Those of routers that were included, too."""
    found: list[APIRoute] = []
    for route in routes:
        found += (
            [route] if isinstance(route, APIRoute) else routes_of(route.original_router.routes) if hasattr(route, "original_router") else []
        )
    return found


def media_of(operation: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    found = [("body", kind, media) for kind, media in operation.get("requestBody", {}).get("content", {}).items()]
    return found + [(status, kind, media) for status, answer in operation["responses"].items() for kind, media in answer["content"].items()]


def test_each_body_and_each_answer_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    wrong = []
    for method, path, operation in openapi.operations(document):
        for where, kind, media in media_of(operation):
            given = examples_of(media)
            if not given:
                wrong.append(f"{method} {path} {where} ({kind}): no example")
            wrong += [f"{method} {path} {where}: {why}" for one in given if (why := fits(one, media["schema"], document))]
    assert wrong == []


def test_each_bodys_example_passes_the_model_that_judges_it(door: Door, document: dict[str, Any]) -> None:
    judged = 0
    for route in routes_of(door.client.app.routes):  # type: ignore[attr-defined]
        if f"/v1{route.path_format}" in document["paths"] and route.body_field is not None:
            for method in route.methods:
                media = document["paths"][f"/v1{route.path_format}"][method.lower()]["requestBody"]["content"]["application/json"]
                for example in examples_of(media):
                    TypeAdapter(route.body_field.field_info.annotation).validate_python(example)
                    judged += 1
    assert judged > 10


def test_the_example_of_a_task_is_one_that_can_be(document: dict[str, Any]) -> None:
    (shown,) = examples_of(document["paths"]["/v1/tasks"]["post"]["responses"]["202"]["content"]["application/json"])
    assert (shown["state"], shown["event_id"], shown["approval_id"]) == ("completed", shown["intent_id"], None)


def test_each_operation_declares_its_problems_with_their_stable_types(document: dict[str, Any]) -> None:
    stable = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    for code in ("policy-denied", "idempotency-conflict", "call-in-progress", "budget-exhausted", "tenant-mismatch", "approval-refused"):
        assert f"urn:spine:problem:{code}" in stable
    for method, path, operation in openapi.operations(document):
        for status in ("400", "401", "403", "404", "409", "413", "422", "429", "500", "503"):
            (media_type,) = operation["responses"][status]["content"]
            assert media_type == "application/problem+json", (method, path, status)


def test_each_unsafe_call_declares_its_idempotency_key_and_refuses_to_be_made_without_one(door: Door, document: dict[str, Any]) -> None:
    admin = {"Authorization": f"Bearer {door.key('root', role=Role.ADMIN)}"}
    unsafe = [one for one in openapi.operations(document) if one[0] != "get" and one[2].get("security")]
    assert len(unsafe) > 10
    for method, path, operation in unsafe:
        if operation["operationId"] in ("explain_policy",):
            continue
        declared = [one for one in operation.get("parameters", ()) if one["name"] == "Idempotency-Key"]
        assert [one["required"] for one in declared] == [True], (method, path)
        media = operation.get("requestBody", {}).get("content", {}).get("application/json")
        body = None if media is None else examples_of(media)[0]
        answer = door.client.request(method.upper(), _filled(path, operation), headers=admin, json=body, params=_needed(operation))
        assert (answer.status_code, "Idempotency-Key" in answer.text) == (400, True), (method, path, answer.text)


def _needed(operation: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: "because" for one in operation.get("parameters", ()) if one["in"] == "query" and one.get("required")}


def _filled(path: str, operation: dict[str, Any]) -> str:
    """With something in the place of each parameter that its schema takes."""
    by_kind = {"integer": "1", "uuid": "0198f3a2-7c1b-7d10-9c6e-2f4b8f0f6a11"}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            name, schema = parameter["name"], parameter["schema"]
            kind = schema.get("format", schema.get("type"))
            value = (schema.get("enum") or [by_kind.get(kind, "tenant-day" if name == "budget" else "automation")])[0]
            path = path.replace(f"{{{name}}}", str(value))
    return path


def test_operations_are_named_once_tagged_with_a_description_and_guarded_by_two_schemes(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for _, _, operation in openapi.operations(document)]
    assert len(names) == len(set(names))
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    kinds = {scheme["type"] for scheme in document["components"]["securitySchemes"].values()}
    assert kinds <= {"http", "openIdConnect"}
    for method, path, operation in openapi.operations(document):
        assert operation["tags"], (method, path)
        assert set(operation["tags"]) <= described, (method, path, operation["tags"])
        if path.startswith("/v1/") and operation["operationId"] not in openapi._KEYLESS:
            assert len(operation["security"]) == 2, (method, path)
