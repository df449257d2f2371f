"""The audit log over HTTP: pages, seals, proofs and the export, each for those who may have it."""

import json
from collections.abc import Callable
from typing import Any

from spine.audit import seals, verify
from spine.audit.merkle import leads_to
from spine.audit.sealed import as_bytes, as_text, leaf_of
from spine.identity import Role
from tests.gateway.conftest import NOON, Door


def sealed(door: Door) -> list[dict[str, Any]]:
    door.message()
    with door.database.tenant("acme") as conn:
        seals.seal(conn, tenant_id="acme", now=NOON)
    return list(door.get("/v1/audit", role=Role.OPERATOR, person="olga").json()["items"])


def test_the_log_comes_in_pages_and_by_filters(door: Door) -> None:
    rows = sealed(door)
    first = door.get("/v1/audit?limit=1", person="olga", role=Role.OPERATOR).json()
    second = door.get(f"/v1/audit?limit=1&cursor={first['next']}", person="olga", role=Role.OPERATOR).json()
    assert [*first["items"], *second["items"]] == rows[:2]
    by_action = door.get(f"/v1/audit?action={rows[-1]['action']}", person="olga", role=Role.OPERATOR).json()
    assert {row["action"] for row in by_action["items"]} == {rows[-1]["action"]}


def test_a_viewer_reads_no_audit_log_and_only_an_admin_takes_it_away(door: Door, refused: Callable[..., dict[str, Any]]) -> None:
    for path in ("/v1/audit", "/v1/audit/seals", "/v1/audit/1/proof"):
        refused(door.get(path, person="vera", role=Role.VIEWER), 403, "not-allowed")
    refused(door.get("/v1/audit/export", person="omar", role=Role.APPROVER), 403, "not-allowed")


def test_an_export_is_whole_and_taking_it_is_on_record(door: Door) -> None:
    sealed(door)
    answer = door.get("/v1/audit/export", person="root", role=Role.ADMIN)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    found = verify.of_export(answer.text.splitlines(keepends=True))
    assert (found.fault, found.tenant_id) == (None, "acme")
    assert found.rows >= 3
    taken = door.get("/v1/audit?action=audit.exported", person="olga", role=Role.OPERATOR).json()["items"]
    assert [row["actor"] for row in taken] == ["root"]


def test_a_proof_can_be_judged_with_sha256_alone(door: Door) -> None:
    row = sealed(door)[0]
    proof = door.get(f"/v1/audit/{row['position']}/proof", person="olga", role=Role.OPERATOR).json()
    assert as_text(leaf_of(proof["content"])) == proof["leaf"]
    root = leads_to(as_bytes(proof["leaf"]), proof["index"], proof["size"], [as_bytes(step) for step in proof["path"]])
    assert as_text(root or b"") == proof["seal"]["merkle_root"]
    head = door.get("/v1/audit/seals", person="olga", role=Role.OPERATOR).json()["items"][0]
    assert head["root"] == proof["seal"]["root"]


def test_a_row_that_is_not_there_or_not_sealed_has_no_proof(door: Door, refused: Callable[..., dict[str, Any]]) -> None:
    rows = sealed(door)
    refused(door.get("/v1/audit/99999999/proof", person="olga", role=Role.OPERATOR), 404, "not-found")
    door.get("/v1/audit/export", person="root", role=Role.ADMIN)
    refused(door.get(f"/v1/audit/{rows[0]['position'] + 1}/proof", person="olga", role=Role.OPERATOR), 409, "conflict", "not sealed yet")


def test_another_tenants_rows_are_in_no_page_and_in_no_export(door: Door) -> None:
    rows = sealed(door)
    theirs = door.get("/v1/audit", person="rita", tenant="rival", role=Role.ADMIN).json()["items"]
    assert theirs == []
    told = door.get("/v1/audit/export", person="rita", tenant="rival", role=Role.ADMIN).text
    assert {json.loads(line)["content"]["tenant_id"] for line in told.splitlines() if '"kind":"row"' in line} == {"rival"}
    assert rows[0]["audit_id"] not in told
