"""A secret setting is used, and never shown: not by the object, its dump, a log line, an error or a traceback."""

import json
import logging
import traceback

import pytest
from pydantic import SecretStr

from spine.errors import Misconfigured
from spine.settings import Settings, variable_of
from spine.signing import derived_key

SECRETS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


def planted(name: str) -> str:
    return f"swordfish-{name}-0123456789abcdefghij"


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate({name: planted(name) for name in SECRETS})


def test_whatever_is_secret_by_its_name_is_secret_by_its_type() -> None:
    secret_words = ("secret", "token", "password", "_key", "database")
    by_name = {name for name in Settings.model_fields if any(word in name for word in secret_words)}
    assert by_name <= set(SECRETS), by_name - set(SECRETS)
    assert len(SECRETS) >= 10


def test_no_secret_comes_out_of_the_settings(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("spine.test").warning("%s %r %s", settings, settings, settings.model_dump())
    shown = [repr(settings), str(settings), settings.model_dump_json(), json.dumps(settings.model_dump(), default=str), f"{settings!r:>1}"]
    for text in (*shown, caplog.text, str(settings.model_dump(mode="json"))):
        assert "swordfish" not in text
    assert settings.require("token_key") == planted("token_key")


def test_an_error_about_the_settings_names_the_variable_and_not_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(variable_of(name), planted(name))
    unfit = {"token_key": [planted("list")], "crm_token": {planted("name"): 1}}
    with pytest.raises(Misconfigured) as refused:
        Settings.load(**unfit)
    assert "token_key" in str(refused.value)
    assert "swordfish" not in "".join(traceback.format_exception(refused.value))


def test_a_traceback_through_a_secret_does_not_show_it() -> None:
    short = Settings.model_validate({"token_key": SecretStr("sword" + "fish")})
    with pytest.raises(Misconfigured, match="SPINE_TOKEN_KEY has 9 characters") as refused:
        derived_key(short, "anything")
    assert "swordfish" not in "".join(traceback.format_exception(refused.value))


def test_two_purposes_never_share_a_key(settings: Settings) -> None:
    keys = {derived_key(settings, purpose) for purpose in ("approval-token", "webhook-secrets")}
    assert len(keys) == 2
    assert derived_key(settings, "approval-token") in keys
