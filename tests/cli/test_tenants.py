"""Who names a tenant means it: nothing is done in another one, not even in the one that the running stack's key belongs to."""

import pytest

from spine.identity import Role, authenticate
from tests.cli.conftest import Spine
from tests.gateway.conftest import Door

ADA = {"person": "ada", "role": Role.ADMIN}
FIRST = ("keys", "issue", "--principal", "evil", "--role", "admin")


@pytest.fixture
def stack_key(office: Door, monkeypatch: pytest.MonkeyPatch) -> str:
    """As while a stack runs: the key of its tenant is found, whoever asks and whatever the environment says."""
    key = office.key("ada", tenant="acme", role=Role.ADMIN)
    monkeypatch.setattr("spine.settings._from_stack", lambda _home: {"api_key": key, "tenant": "acme"})
    return key


@pytest.mark.parametrize(
    "arguments",
    [
        FIRST,
        ("keys", "list"),
        ("keys", "revoke", "x"),
        ("approvals", "list"),
        ("events", "tail"),
        ("intents", "list"),
        ("dead-letters", "list"),
    ],
)
def test_a_tenant_in_the_environment_that_is_not_the_keys_is_refused_naming_both(
    spine: Spine, office: Door, stack_key: str, arguments: tuple[str, ...]
) -> None:
    office.key("rita", tenant="rival")
    done = spine(*arguments, person=None, tenant="rival")
    assert (done.code, done.error.split(":")[0]) == (5, "tenant-mismatch"), done
    assert "'rival' is named" in done.error
    assert "of tenant 'acme'" in done.error
    assert "SPINE_API_KEY" in done.error
    assert office.count("api_keys") == 1
    assert office.count("api_keys", tenant="rival") == 1


@pytest.mark.parametrize("arguments", [FIRST, ("keys", "list"), ("keys", "revoke", "x")])
def test_the_tenant_option_says_the_same_and_outweighs_the_environment(spine: Spine, office: Door, arguments: tuple[str, ...]) -> None:
    office.key("rita", tenant="rival")
    done = spine(*arguments, "--tenant", "rival", **ADA)
    assert (done.code, "'rival' is named" in done.error) == (5, True), done
    assert spine("keys", "list", "--tenant", "acme", "--json", **ADA).code == 0
    assert spine("keys", "list", "--tenant", "", **ADA).code == 5


def test_a_tenant_without_any_key_gets_its_first_one_also_while_a_stack_runs(spine: Spine, office: Door, stack_key: str) -> None:
    key = spine(*FIRST, "--tenant", "fresh", "--json", person=None).json()["key"]
    made = authenticate(office.database, key)
    assert (made.tenant_id, made.id, made.role) == ("fresh", "evil", Role.ADMIN)
    assert office.count("audit_log", "action = 'key.issued' and actor_id = 'first-key'", tenant="fresh") == 1
    assert office.count("api_keys") == 1, "the stack's own tenant gains nobody"
    again = spine(*FIRST, "--tenant", "fresh", person=None)
    assert (again.code, "'fresh' is named" in again.error) == (5, True)


def test_the_first_key_of_a_tenant_is_an_admins_and_the_tenant_has_a_name(spine: Spine, office: Door, stack_key: str) -> None:
    lesser = spine("keys", "issue", "--principal", "eve", "--role", "operator", "--tenant", "fresh", person=None)
    assert (lesser.code, "very first key, an admin's" in lesser.error) == (5, True)
    assert spine(*FIRST, "--tenant", "a/b", person=None).code == 6
    assert office.count("api_keys", tenant="fresh") == 0


def test_a_key_of_ones_own_acts_in_its_tenant_whatever_tenant_the_stack_is_for(
    spine: Spine, office: Door, stack_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = spine(*FIRST, "--json", person="rita", tenant="rival", role=Role.ADMIN).json()["key"]
    assert issued.startswith("sk.rival.")
    assert office.count("api_keys") == 1
