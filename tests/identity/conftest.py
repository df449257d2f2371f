from collections.abc import Iterator

import pytest

from spine.identity.oidc import Oidc
from spine.settings import Settings
from spine.testing.issuer import FakeIssuer
from tests.gateway.conftest import door, refused

__all__ = ["door", "refused"]  # fixtures: a gateway, and its problems


@pytest.fixture(scope="module")
def made() -> Iterator[FakeIssuer]:
    with FakeIssuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(made: FakeIssuer) -> FakeIssuer:
    """One issuer for a module, with nothing left of the test before."""
    made.is_down, made.login = False, {}
    made.calls.clear()
    made.forms.clear()
    return made


@pytest.fixture
def oidc(issuer: FakeIssuer) -> Oidc:
    found = Oidc.from_settings(Settings.model_validate(issuer.settings()))
    assert found is not None
    return found
