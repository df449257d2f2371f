"""JSON Schema 2020-12 for every event version and for the envelope: `python -m shared.events.export [--check]`.

The schemas are committed, for readers that are not Python and for reviews: a change of a contract is a change of a file. They
describe what a *reader* accepts (pydantic's validation mode), hence `additionalProperties: true`, said explicitly: a newer
producer of the same version may add a field. That producers must not invent fields is `catalog.check`'s business.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from shared.events.catalog import CATALOG
from shared.events.envelope import Envelope, schema_id

FOLDER = Path(__file__).parent / "schemas"
ENVELOPE_ID = "urn:spine:envelope:v1"


def schema_of(event_type: str) -> dict[str, Any]:
    """The schema of one event's data. Raises KeyError for a type that is not in the catalogue."""
    return {**_schema(CATALOG[event_type], schema_id(event_type)), "x-event-type": event_type}


def envelope_schema() -> dict[str, Any]:
    """The schema of structured-mode JSON; `data` is described by the schema that `dataschema` names."""
    return _schema(Envelope, ENVELOPE_ID)


def files() -> Mapping[str, str]:
    """File name → content, for the whole folder."""
    events = {f"{model.short_name()}.v{model.type_version()}.json": schema_of(event_type) for event_type, model in CATALOG.items()}
    return {name: _text(schema) for name, schema in {**events, "envelope.v1.json": envelope_schema()}.items()}


def differences(folder: Path = FOLDER) -> list[str]:
    """What `export` would change, one line a file; empty when the folder is current."""
    wanted = files()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    missing = [f"{name}: missing" for name in wanted.keys() - present.keys()]
    superfluous = [f"{name}: no such event in the catalogue" for name in present.keys() - wanted.keys()]
    changed = [f"{name}: differs from the model" for name in wanted.keys() & present.keys() if wanted[name] != present[name]]
    return sorted(missing + superfluous + changed)


def export(folder: Path = FOLDER) -> None:
    """Write the folder anew; a file of an event that is gone goes too."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = files()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.events.export", description="Write the JSON Schemas of the events.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a committed schema is not current")
    if not parser.parse_args(arguments).check:
        export()
        return 0
    found = differences()
    if found:
        found.append("run `python -m shared.events.export` and commit shared/events/schemas")
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


def _schema(model: type[BaseModel], identity: str) -> dict[str, Any]:
    body = _open(model.model_json_schema(mode="validation"))
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": identity, **body}


def _open(schema: Any) -> Any:
    """The same schema with its openness written down in every object that has properties."""
    if isinstance(schema, list):
        return [_open(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    opened = {key: _open(value) for key, value in schema.items()}
    return {**opened, "additionalProperties": True} if opened.get("type") == "object" and "properties" in opened else opened


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
