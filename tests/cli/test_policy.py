"""`spine policy` and `spine canary`, typed."""

import json
from pathlib import Path

import pytest

from spine.identity import Role
from spine.policy.table import TABLE
from tests.cli.conftest import Spine
from tests.gateway.conftest import Door


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The shipped table with one more person for an e-mail."""
    path = tmp_path / "candidate.yaml"
    path.write_text(TABLE.read_text(encoding="utf-8").replace("  send_email:\n", "  send_email:\n    approvers: 3\n"), encoding="utf-8")
    return path


def test_the_table_and_a_line_of_it_are_shown(spine: Spine) -> None:
    assert "send_contract_for_signature" in spine("policy", "show").out
    line = spine("policy", "show", "proposal_send").out
    assert "amount_tiers" in line
    assert "500000" in line
    assert spine("policy", "show", "proposal_send", "--json").json()["requires"] == "bundle"
    assert "judged as any unknown action" in spine("policy", "show", "launch_rocket").out


def test_an_explanation_says_what_decides_and_what_would_change_it(spine: Spine, tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({"deal_id": "D1"}), encoding="utf-8")
    found = spine("policy", "explain", "crm_deal_create", "--payload", str(payload), "--amount", "120000.00 SAR", "--json").json()
    assert (found["verdict"], found["approvers"], found["decided_by"]["code"]) == ("ask", 2, "amount")
    told = spine("policy", "explain", "nda_send", "--correlation", " ").out
    assert "deny: no-correlation" in told
    assert "it names a correlation id" in told
    assert "'send_emial' is not in the table" in spine("policy", "explain", "send_emial").out
    assert spine("policy", "explain").code == 6
    assert spine("policy", "explain", "send_email", "--amount", "5 SAR").code == 6


def test_a_recorded_intent_is_explained(spine: Spine, office: Door) -> None:
    office.message()
    [intent] = spine("intents", "list", "--json").json()["items"]
    assert spine("policy", "explain", "--intent", intent["intent_id"], "--json").json()["verdict"] == "ask"


def test_a_table_is_checked_with_all_that_is_wrong_by_line(spine: Spine, tmp_path: Path) -> None:
    assert "nothing to say against it" in spine("policy", "check").out
    broken = tmp_path / "broken.yaml"
    text = TABLE.read_text(encoding="utf-8").replace("  send_email:\n", "  send_email:\n    colour: red\n")
    broken.write_text(text.replace("  weekly_cap: 2", "  weekly_cap: 0"), encoding="utf-8")
    found = spine("policy", "check", str(broken))
    assert found.code == 1
    assert "broken.yaml:" in found.out
    assert "weekly_cap" in found.out


def test_a_candidate_is_compared_by_line_and_by_recorded_intents(spine: Spine, office: Door, candidate: Path) -> None:
    assert [one["field"] for one in spine("policy", "diff", str(candidate), "--json").json()["items"]] == ["approvers"]
    assert "the same policy" in spine("policy", "diff", str(TABLE)).out
    office.message()
    found = spine("policy", "backtest", str(candidate), "--json").json()
    assert (found["judged"], found["changed"], found["moves"][0]["count"]) == (1, 1, 1)
    assert "1 intents judged by both tables, 1 otherwise" in spine("policy", "backtest", str(candidate)).out


@pytest.fixture
def operator(spine: Spine, office: Door, monkeypatch: pytest.MonkeyPatch) -> Spine:
    """An admin at the installation's own desk: the relay's address is at hand."""
    monkeypatch.setenv("SPINE_DATABASE_RELAY_URL", office.database.relay_url or "")
    return lambda *arguments, **more: spine(*arguments, **{"person": "root", "role": Role.ADMIN, **more})


def test_a_group_is_set_held_released_and_seen_by_its_operator(operator: Spine, spine: Spine) -> None:
    made = operator(
        "canary", "set", "contract-signature", "--member", "globex", "--member", "initech", "--stop-loss", "0.05", "--json"
    ).json()
    assert (made["tenants"], made["enforced"], made["stop_loss"]) == (["globex", "initech"], True, "0.0500")
    told = spine("canary", "check", "contract-signature")
    assert told.out == "contract-signature: acme is outside\n"
    assert "globex" not in told.out
    assert "held" in operator("canary", "hold", "contract-signature", "--reason", "a provider fails").out
    assert "a provider fails" in operator("canary", "list").out
    operator("canary", "set", "contract-signature", "--percent", "100")
    assert spine("canary", "check", "contract-signature", "--json").json()["canary"] == "outside"
    operator("canary", "release", "contract-signature", "--reason", "mended")
    assert spine("canary", "check", "contract-signature", "--json").json()["canary"] == "inside"
    assert "nobody" in operator("canary", "set", "contract-signature", "--nobody").out


def test_a_group_takes_an_admin_the_relays_address_and_sense(operator: Spine, spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator("canary", "set", "nonsense", "--nobody").code == 4
    assert operator("canary", "set", "contract-signature").code == 6
    assert operator("canary", "set", "contract-signature", "--nobody", "--member", "acme").code == 6
    assert operator("canary", "set", "contract-signature", "--percent", "many").code == 6
    assert operator("canary", "hold", "contract-signature", "--reason", "x").code == 4
    assert spine("canary", "list", role=Role.APPROVER).code == 5
    monkeypatch.delenv("SPINE_DATABASE_RELAY_URL")
    assert operator("canary", "list").code == 7
