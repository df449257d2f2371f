"""The committed JSON Schemas are those of the models, and a second implementation agrees with them."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from shared.events import CATALOG, EventData
from shared.events.export import FOLDER, differences, envelope_schema, export, main, schema_of
from tests.shared.samples import SAMPLES, enveloped, named


def test_the_committed_schemas_are_current() -> None:
    assert differences() == [], "run `python -m shared.events.export` and commit shared/events/schemas"


@pytest.mark.parametrize("event_type", CATALOG)
def test_every_event_has_a_schema_file_that_says_what_it_is(event_type: str) -> None:
    model = CATALOG[event_type]
    schema = json.loads((FOLDER / f"{model.short_name()}.v{model.type_version()}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:spine:event:{model.short_name()}:v{model.type_version()}"
    assert schema["additionalProperties"] is True
    assert schema["description"]


@pytest.mark.parametrize("event", SAMPLES, ids=named)
def test_real_envelopes_and_their_data_fit_the_schemas(event: EventData) -> None:
    written = json.loads(enveloped(event).to_json())
    Draft202012Validator(envelope_schema()).validate(written)
    Draft202012Validator(schema_of(event.TYPE)).validate(written["data"])


def test_a_schema_refuses_what_the_model_refuses() -> None:
    money_as_float = SAMPLES[0].wire() | {"estimated_value": {"amount": 12.5, "currency": "SAR"}}
    assert not Draft202012Validator(schema_of(SAMPLES[0].TYPE)).is_valid(money_as_float)
    unzoned = json.loads(enveloped(SAMPLES[0]).to_json()) | {"tenantid": "a/b"}
    assert not Draft202012Validator(envelope_schema()).is_valid(unzoned)


def test_a_stale_missing_or_superfluous_schema_is_noticed_and_mended(tmp_path: Path) -> None:
    export(tmp_path)
    assert differences(tmp_path) == []
    (tmp_path / "deal.won.v1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "lead.qualified.v1.json").unlink()
    (tmp_path / "deal.lost.v1.json").write_text("{}", encoding="utf-8")
    assert [line.partition(":")[0] for line in differences(tmp_path)] == ["deal.lost.v1.json", "deal.won.v1.json", "lead.qualified.v1.json"]
    export(tmp_path)
    assert differences(tmp_path) == []


def test_the_check_command_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    monkeypatch.setattr("shared.events.export.differences", lambda: ["deal.won.v1.json: differs from the model"])
    assert main(["--check"]) == 1
    assert "python -m shared.events.export" in capsys.readouterr().err
