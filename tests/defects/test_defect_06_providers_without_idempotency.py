"""Defect 6: providers were called without an idempotency key, so a repeated call was a second message, deal or envelope. Here every
connector carries the intent's key to the far end, and the far end's own ledger is what is counted.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestration.plugins.crm import CrmPlugin
from orchestration.plugins.email import EmailPlugin
from orchestration.plugins.esign import EsignPlugin
from spine.settings import Settings
from spine.testing.providers import Providers, Signing
from tests.orchestration.test_plugins import contract, deal, mail

TENANT = "acme"
Payload = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("plugin", "payload", "provider"), [(EmailPlugin, mail, "email"), (CrmPlugin, deal, "crm"), (EsignPlugin, contract, "esign")]
)
def test_the_same_key_twice_is_one_thing_at_the_far_end(plugin: Any, payload: Payload, provider: str, tmp_path: Path) -> None:
    with Providers(ledger=tmp_path / "ledger.sqlite", signing=Signing(after_seconds=0)) as providers:
        with closing(plugin.from_settings(Settings(**providers.settings()))) as connector:
            found = connector.find(TENANT, payload("k1"))
            assert found is None
            connector.perform(TENANT, payload("k1"))
            connector.perform(TENANT, payload("k2"))
            known = connector.find(TENANT, payload("k1"))
        keys = [entry["key"] for entry in providers.ledger.entries(provider)]
    assert known is not None, "after a crash the provider can be asked by the same key"
    assert len(set(keys)) == len(keys) == 2, "each key is one entry of its own"
