"""Providers for the tests of this folder, and settings that lead to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spine.settings import Settings
from spine.testing.providers import Providers, Signing


@pytest.fixture
def providers(tmp_path: Path) -> Iterator[Providers]:
    """Mail, CRM and e-signature on loopback, with a ledger of this test's own. Signers answer at once."""
    with Providers(ledger=tmp_path / "ledger.sqlite", signing=Signing(after_seconds=0)) as running:
        yield running


@pytest.fixture
def provider_settings(providers: Providers) -> Settings:
    return Settings(**providers.settings())
