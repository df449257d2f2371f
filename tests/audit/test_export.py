"""An export is judged without us: any change to it is found, and the row that was changed is named."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spine.audit import export, seals, verify
from spine.audit.sealed import FIRST, Seal, as_text, leaf_of
from spine.db import Database
from spine.errors import BadExport
from tests.audit.ledger import NOON, TENANT, write

Lines = list[str]


@pytest.fixture(scope="module")
def exported() -> Lines:
    """Nine sealed rows in three batches and two that are not sealed, as a file of the format has them; made once, without a database."""
    contents = [
        {
            "position": number,
            "xid": 700 + number,
            "audit_id": f"0191f2f4-0000-7000-8000-{number:012}",
            "tenant_id": TENANT,
            "occurred_at": NOON.isoformat(timespec="microseconds"),
            "recorded_at": NOON.isoformat(timespec="microseconds"),
            "actor_type": "human",
            "actor_id": "ana",
            "action": "thing.happened",
            "subject_type": "thing",
            "subject_id": f"s{number}",
            "correlation_id": None,
            "trace_id": None,
            "span_id": None,
            "digest": None,
            "severity": "V0",
            "detail": {"n": number, "as": "أ"},
        }
        for number in range(1, 12)
    ]
    entries: list[dict[str, Any]] = []
    head, before = FIRST, 0
    for number in range(3):
        batch = contents[number * 3 : number * 3 + 3]
        seal = Seal.over(batch, tenant_id=TENANT, number=number + 1, rows_before=before, previous_root=head, now=NOON)
        entries += [{"kind": "row", "content": one, "leaf": as_text(leaf_of(one))} for one in batch]
        entries.append({"kind": "seal", **seal.as_json()})
        head, before = seal.root, before + 3
    entries += [{"kind": "row", "content": one, "leaf": as_text(leaf_of(one))} for one in contents[9:]]
    header = {"kind": "header", "format": export.FORMAT, "tenant_id": TENANT, "exported_at": NOON.isoformat(), "seals": 3, "head": head}
    lines = [json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n" for entry in [header, *entries]]
    digest = hashlib.sha256("".join(lines).encode()).digest()
    return [*lines, _end(len(lines), digest)]


def without_the_end(lines: Lines) -> Lines:
    """As a forger leaves it, who writes the count and the digest at the end anew."""
    kept = [line for line in lines if json.loads(line)["kind"] != "end"]
    digest = hashlib.sha256("".join(kept).encode()).digest()
    return [*kept, _end(len(kept), digest)]


def _end(lines: int, digest: bytes) -> str:
    return json.dumps({"kind": "end", "lines": lines, "digest": as_text(digest)}, separators=(",", ":")) + "\n"


def test_an_export_that_nobody_touched_is_whole(exported: Lines) -> None:
    found = verify.of_export(exported)
    assert (found.is_whole, found.rows, found.seals, found.unsealed) == (True, 9, 3, 2)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_byte_that_was_changed_is_found(exported: Lines, data: st.DataObject) -> None:
    raw = "".join(exported).encode()
    at = data.draw(st.integers(0, len(raw) - 2))  # how the last line ends says nothing
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[at]))
    changed = (raw[:at] + bytes([other]) + raw[at + 1 :]).decode(errors="replace").splitlines(keepends=True)
    assert not _judged(changed)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_line_that_was_removed_repeated_or_moved_is_found_even_with_a_new_end(exported: Lines, data: st.DataObject) -> None:
    sealed = exported[:13]  # the header and three batches: of the tail nothing is sealed yet
    at = data.draw(st.integers(0, len(sealed) - 1))
    to = data.draw(st.integers(0, len(sealed) - 1))
    match data.draw(st.sampled_from(["remove", "repeat", "move"])):
        case "remove":
            changed = sealed[:at] + sealed[at + 1 :]
        case "repeat":
            changed = [*sealed[:to], sealed[at], *sealed[to:]]
        case _:
            assume(at != to)
            rest = sealed[:at] + sealed[at + 1 :]
            changed = [*rest[:to], sealed[at], *rest[to:]]
    assert not _judged(without_the_end([*changed, *exported[13:]]))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_row_rewritten_with_its_leaf_and_a_new_end_is_named(exported: Lines, data: st.DataObject) -> None:
    rows = [index for index, line in enumerate(exported[:13]) if json.loads(line)["kind"] == "row"]
    at = data.draw(st.sampled_from(rows))
    entry = json.loads(exported[at])
    name = data.draw(st.sampled_from(["actor_id", "action", "subject_id", "correlation_id", "occurred_at", "severity"]))
    entry["content"][name] = "forged"
    entry["leaf"] = as_text(leaf_of(entry["content"]))
    changed = [*exported[:at], json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n", *exported[at + 1 :]]
    fault = verify.of_export(without_the_end(changed)).fault
    assert fault is not None
    assert (fault.kind, fault.position) == ("altered", entry["content"]["position"])


@pytest.mark.parametrize(
    ("change", "kind", "position"),
    [
        (lambda lines: lines[:2] + lines[3:], "removed", 2),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "reordered", 2),
        (lambda lines: [*lines[:2], lines[6], *lines[2:]], "inserted", 5),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "inserted", 2),
    ],
)
def test_what_happened_to_a_row_is_told(exported: Lines, change: Any, kind: str, position: int) -> None:
    fault = verify.of_export(without_the_end(change(exported))).fault
    assert fault is not None
    assert (fault.kind, fault.position, fault.seal) == (kind, position, 1)


def test_a_file_that_breaks_off_is_not_whole(exported: Lines) -> None:
    for end in range(1, len(exported)):
        assert not verify.of_export(exported[:end]).is_whole


def test_a_head_kept_elsewhere_is_in_the_chain_or_it_is_another_history(exported: Lines) -> None:
    root = json.loads(exported[8])["root"]
    assert verify.of_export(exported, anchor=root).is_whole
    fault = verify.of_export(exported, anchor="sha256:" + "0" * 64).fault
    assert fault is not None
    assert fault.kind == "anchor"


@pytest.mark.parametrize("lines", [[], ["{}\n"], ["not json\n"], ['{"kind":"header","format":"other/1","tenant_id":"x"}\n']])
def test_what_is_no_export_is_refused(lines: Lines) -> None:
    with pytest.raises(BadExport):
        verify.of_export(lines)


def test_what_the_database_exports_is_whole_and_stays_so_when_it_is_read_slowly(database: Database) -> None:
    write(database, *(f"s{number}" for number in range(7)))
    with database.tenant(TENANT) as conn:
        seals.seal(conn, tenant_id=TENANT, now=NOON, limit=3)
    with database.tenant(TENANT) as conn:
        seals.seal(conn, tenant_id=TENANT, now=NOON, limit=3)
    told = export.lines(lambda: database.tenant(TENANT), tenant_id=TENANT, now=NOON)
    first = next(told)
    write(database, "meanwhile")
    with database.tenant(TENANT) as conn:
        seals.seal(conn, tenant_id=TENANT, now=NOON)
    found = verify.of_export([first, *told])
    assert (found.fault, found.rows, found.seals, found.unsealed) == (None, 6, 2, 2)


def test_a_file_is_judged_without_a_database_a_key_or_a_network(exported: Lines, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(exported), encoding="utf-8")
    program = (
        "import socket, sys; socket.socket.connect = None\n"
        "from spine.cli import main\n"
        f"sys.argv = ['spine', 'audit', 'verify', {str(file)!r}]\n"
        "main()"
    )
    environment = {"SPINE_HOME": str(tmp_path), "PATH": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "9 rows in 3 seals hold, 2 not sealed yet" in done.stdout
    file.write_text("".join(exported).replace("s5", "s6", 1), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 1
    assert "position 5" in done.stdout


def _judged(lines: Lines) -> bool:
    try:
        return verify.of_export(lines).is_whole
    except BadExport:
        return False


@pytest.mark.parametrize(("at", "line"), [(1, "[" * 200_000 + "\n"), (-2, '{"kind":"seal","number":1,"leaves":[null]}\n')])
def test_a_line_of_any_form_is_a_fault_and_no_crash(exported: list[str], at: int, line: str) -> None:
    changed = list(exported)
    changed[at] = line
    assert not verify.of_export(changed).is_whole


def _said_otherwise(line: str, name: str, written: str) -> str:
    """The line with the first value of a number's name written as something that Python takes for the same."""
    changed = re.sub(rf'"{name}":\[?\d+', lambda found: found[0].rstrip("0123456789") + written, line, count=1)
    assert changed != line
    return changed


@pytest.mark.parametrize("name", ["number", "through_xid", "through_position", "rows_before", "positions"])
@pytest.mark.parametrize("form", ["{}.0", '"{}"', '"0{}"', '" {}"', "{}e0"])
def test_a_number_of_a_seal_that_is_no_integer_is_refused_by_its_line(exported: Lines, name: str, form: str) -> None:
    seal = json.loads(exported[8])
    value = seal[name][0] if name == "positions" else seal[name]
    changed = _said_otherwise(exported[8], name, form.format(value))
    fault = verify.of_export(without_the_end([*exported[:8], changed, *exported[9:]])).fault
    assert fault is not None
    assert fault.kind == "seal"
    assert "line 9" in fault.why
    assert "integer" in fault.why


def test_true_is_no_number_of_a_seal_a_header_or_a_row(exported: Lines) -> None:
    first = _said_otherwise(exported[4], "number", "true")
    fault = verify.of_export(without_the_end([*exported[:4], first, *exported[5:]])).fault
    assert fault is not None
    assert (fault.kind, "line 5" in fault.why) == ("seal", True)
    one_seal = [_said_otherwise(exported[0], "seals", "1").replace(json.loads(exported[0])["head"], json.loads(exported[4])["root"])]
    assert verify.of_export(without_the_end([*one_seal, *exported[1:5]])).is_whole
    header = _said_otherwise(one_seal[0], "seals", "true")
    assert not verify.of_export(without_the_end([header, *exported[1:5]])).is_whole
    row = _said_otherwise(exported[1], "position", "1.0")
    fault = verify.of_export(without_the_end([exported[0], row, *exported[2:]])).fault
    assert fault is not None
    assert "line 2" in fault.why
    end = _said_otherwise(exported[-1], "lines", f"{len(exported) - 1}.0")
    assert not verify.of_export([*exported[:-1], end]).is_whole


@pytest.mark.parametrize(
    ("at", "found", "doubled"),
    [
        (1, '"action":', '"action":"thing.forged","action":'),
        (1, '"n":1', '"n":2,"n":1'),
        (1, '{"kind":"row"', '{"kind":"seal","kind":"row"'),
        (4, '"number":1', '"number":2,"number":1'),
    ],
)
def test_a_name_that_is_said_twice_is_refused_by_its_line(exported: Lines, at: int, found: str, doubled: str) -> None:
    """The last of the two is what Python reads, and the first is what another program may show."""
    assert found in exported[at]
    changed = [*exported[:at], exported[at].replace(found, doubled, 1), *exported[at + 1 :]]
    fault = verify.of_export(without_the_end(changed)).fault
    assert fault is not None
    assert (fault.kind, f"line {at + 1} " in fault.why, "twice" in fault.why) == ("file", True, True)


def test_a_header_that_says_a_name_twice_is_no_header(exported: Lines) -> None:
    header = exported[0].replace('"tenant_id":', '"tenant_id":"other","tenant_id":', 1)
    with pytest.raises(BadExport, match="twice"):
        verify.of_export(without_the_end([header, *exported[1:]]))


def test_a_number_that_json_has_not_exactly_is_text_and_is_read(exported: Lines) -> None:
    big = 2**53 + 1
    contents = [{**json.loads(exported[1])["content"], "xid": str(big)}]
    seal = Seal.over(contents, tenant_id=TENANT, number=1, rows_before=0, previous_root=FIRST, now=NOON)
    assert seal.as_json()["through_xid"] == str(big)
    assert Seal.of_json(json.loads(json.dumps(seal.as_json()))) == seal
