"""Each connector against a real server on loopback: what it sends, and what it says about what it does not know."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from orchestration.plugins.crm import CrmPlugin
from orchestration.plugins.email import EmailPlugin
from orchestration.plugins.esign import EsignPlugin
from spine.errors import InvalidInput, Misconfigured, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from spine.policy import PolicyTable
from spine.settings import Settings
from spine.stack.ports import free_port
from spine.testing.providers import Providers, Signing, Trouble

TENANT = "acme"
BAD_DAYS = [
    ("refuse", ProviderRefused, 0),
    ("unavailable", ProviderUnavailable, 0),
    ("hang", OutcomeUnknown, 0),
    ("lose_answer", OutcomeUnknown, 1),
]


def mail(key: str = "k1", **changes: Any) -> dict[str, Any]:
    given = {"contact_id": "contact/isdom", "subject": "GTX Pro", "body": "Hello,\n.dots stay\n", "address": "buyer@isdom.example"}
    return {"action": "send_email", "idempotency_key": key, **given, **changes}


def deal(key: str = "k1", **changes: Any) -> dict[str, Any]:
    return {"action": "crm_deal_update", "idempotency_key": key, "deal_id": "D1", "fields": {"stage": "signed"}, **changes}


def contract(key: str = "k1", **changes: Any) -> dict[str, Any]:
    given = {"deal_id": "D1", "contact_id": "contact/isdom", "account": "Isdom", "product": "GTX Pro", "amount": "4514.00"}
    more = {"currency": "USD", "terms": "as agreed", "address": "buyer@isdom.example"}
    return {"action": "send_contract_for_signature", "idempotency_key": key, **given, **more, **changes}


@pytest.fixture
def email(provider_settings: Settings) -> Iterator[EmailPlugin]:
    with closing(EmailPlugin.from_settings(provider_settings)) as plugin:
        yield plugin


@pytest.fixture
def crm(provider_settings: Settings) -> Iterator[CrmPlugin]:
    with closing(CrmPlugin.from_settings(provider_settings)) as plugin:
        yield plugin


@pytest.fixture
def esign(provider_settings: Settings) -> Iterator[EsignPlugin]:
    with closing(EsignPlugin.from_settings(provider_settings)) as plugin:
        yield plugin


def test_a_mail_carries_its_identity_and_a_way_out(email: EmailPlugin, providers: Providers) -> None:
    receipt = email.perform(TENANT, mail())
    (received,) = providers.ledger.entries("email")
    assert received["key"] == receipt["reference"] == email.message_id(TENANT, "k1")
    assert received["body"]["to"] == ["buyer@isdom.example"]
    assert received["body"]["text"] == "Hello,\n.dots stay\n"
    assert "unsubscribe" in received["body"]["list_unsubscribe"]
    assert receipt["observed"] == {"contact_id": "contact/isdom"}


def test_a_mail_is_found_by_its_key_and_an_unsent_one_is_not(email: EmailPlugin) -> None:
    assert email.find(TENANT, mail()) is None
    receipt = email.perform(TENANT, mail())
    assert email.find(TENANT, mail()) == receipt
    assert email.find("other", mail()) is None, "keys are a tenant's own"


@pytest.mark.parametrize(
    ("mode", "error", "made"),
    [
        ("refuse", ProviderRefused, 0),
        ("unavailable", ProviderUnavailable, 0),
        ("hang", OutcomeUnknown, 0),
        ("lose_answer", OutcomeUnknown, 1),
    ],
)
def test_a_mail_server_on_a_bad_day(email: EmailPlugin, providers: Providers, mode: Any, error: type[Exception], made: int) -> None:
    providers.behaviour.add(Trouble(provider="email", mode=mode))
    with pytest.raises(error):
        email.perform(TENANT, mail())
    assert len(providers.ledger.entries("email")) == made
    assert (email.find(TENANT, mail()) is not None) is bool(made)


def test_a_mail_server_that_is_not_there_has_done_nothing() -> None:
    plugin = EmailPlugin.from_settings(Settings(email_smtp_url=f"smtp://127.0.0.1:{free_port()}"))
    with pytest.raises(ProviderUnavailable, match="could not be reached"):
        plugin.perform(TENANT, mail())
    with pytest.raises(OutcomeUnknown, match="SPINE_EMAIL_LOOKUP_URL"):
        plugin.find(TENANT, mail())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (mail(subject="two\r\nBcc: x@y.example"), "subject"),
        (mail(address=None), "nobody to go to"),
        (mail(idempotency_key=""), "no idempotency key"),
        (mail(subjct="typo"), "subjct"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_by_field_and_without_its_value(email: EmailPlugin, broken: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        email.perform(TENANT, broken)
    assert "@" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("amount", wrong) for wrong in ("-5.00", "0.00", "+1", "1,000.00", "1e3", "01.00", "1.001", "1000000000000", "١", "5\n", 5)),
        *(("currency", wrong) for wrong in ("usd", "US", "DOLLAR", "U$D", "")),
        ("terms", ""),
    ],
)
def test_a_contract_over_no_proper_amount_is_refused_before_the_provider_hears_of_it(
    esign: EsignPlugin, providers: Providers, field: str, value: Any
) -> None:
    with pytest.raises(InvalidInput, match=f"'{field}'"):
        esign.perform(TENANT, contract(**{field: value}))
    assert providers.ledger.entries("esign") == []


@pytest.mark.parametrize("amount", ["4514", "4514.00", "0.5", "999999999999.99"])
def test_an_amount_is_sent_as_it_was_written(esign: EsignPlugin, providers: Providers, amount: str) -> None:
    esign.perform(TENANT, contract(amount=amount))
    (received,) = providers.ledger.entries("esign")
    assert received["body"]["document"]["amount"] == amount


def test_every_payload_field_that_policy_names_is_one_that_the_connector_takes() -> None:
    """A misspelt fixed field would protect nothing."""
    models = {**EmailPlugin.actions, **CrmPlugin.actions, **EsignPlugin.actions}
    for rule in PolicyTable.load().actions.values():
        if rule.plugin is not None:
            named = {*rule.fixed, *filter(None, (rule.amount_field, rule.currency_field, rule.undo_reference))}
            assert named <= models[rule.action].model_fields.keys(), rule.action
            identity = {"contact_id", "deal_id", "account", "currency", "envelope_id"} & models[rule.action].model_fields.keys()
            assert identity == set(rule.fixed), f"{rule.action}: an edit could turn it into something else"


def test_an_address_of_the_mail_server_that_is_none_is_named() -> None:
    with pytest.raises(Misconfigured, match="SPINE_EMAIL_SMTP_URL"):
        EmailPlugin.from_settings(Settings(email_smtp_url="http://127.0.0.1"))


def test_a_repeated_upsert_changes_nothing(crm: CrmPlugin, providers: Providers) -> None:
    first, second = crm.perform(TENANT, deal()), crm.perform(TENANT, deal())
    assert first == second == crm.find(TENANT, deal())
    assert first["observed"] == {"fields": {"stage": "signed"}}
    assert [entry["made"] for entry in providers.ledger.entries("crm")] == [True, False]
    assert crm.find(TENANT, deal("another key")) is None


def test_two_tenants_with_the_same_deal_have_two_records(crm: CrmPlugin) -> None:
    assert crm.perform("a", deal())["reference"] != crm.perform("b", deal("k2"))["reference"]


def test_the_same_key_gives_the_same_envelope(esign: EsignPlugin, providers: Providers) -> None:
    first = esign.perform(TENANT, contract())
    again = esign.perform(TENANT, contract())  # its status may be another by now: this provider's signers are quick
    assert again["reference"] == first["reference"]
    assert providers.ledger.counts()["esign"] == {"received": 2, "effects": 1, "keys": 1, "duplicates": 0}
    found = esign.find(TENANT, contract())
    assert found is not None
    assert found["reference"] == first["reference"]


def test_an_envelope_is_voided_once_and_that_can_be_found(esign: EsignPlugin, providers: Providers) -> None:
    providers.behaviour.signing = Signing(after_seconds=60)
    envelope = esign.perform(TENANT, contract())["reference"]
    void = {"action": "void_envelope", "idempotency_key": "v1", "deal_id": "D1", "envelope_id": envelope, "reason": "changed our mind"}
    assert esign.find(TENANT, void) is None
    assert esign.perform(TENANT, void)["status"] == "voided"
    found = esign.find(TENANT, void)
    assert found is not None
    assert found["status"] == "voided"


@pytest.mark.parametrize(
    ("mode", "error", "made"),
    [
        ("refuse", ProviderRefused, 0),
        ("unavailable", ProviderUnavailable, 0),
        ("hang", OutcomeUnknown, 0),
        ("lose_answer", OutcomeUnknown, 1),
    ],
)
@pytest.mark.parametrize("provider", ["crm", "esign"])
def test_an_http_provider_on_a_bad_day(
    request: pytest.FixtureRequest, providers: Providers, provider: Any, mode: Any, error: type[Exception], made: int
) -> None:
    plugin = request.getfixturevalue(provider)
    payload = {"crm": deal, "esign": contract}[provider]()
    providers.behaviour.add(Trouble(provider=provider, mode=mode))
    with pytest.raises(error):
        plugin.perform(TENANT, payload)
    assert len(providers.ledger.entries(provider)) == made
    assert (plugin.find(TENANT, payload) is not None) is bool(made)
    plugin.perform(TENANT, payload)
    assert providers.ledger.counts()[provider]["duplicates"] == 0


def test_a_connector_that_is_not_configured_names_the_variable() -> None:
    with pytest.raises(Misconfigured, match="SPINE_CRM_URL"):
        CrmPlugin.from_settings(Settings())


def test_what_the_providers_hold_survives_their_restart(providers: Providers, esign: EsignPlugin, tmp_path: Any) -> None:
    envelope = esign.perform(TENANT, contract())["reference"]
    with Providers(ledger=tmp_path / "ledger.sqlite") as again:
        with closing(EsignPlugin.from_settings(Settings(**again.settings()))) as plugin:
            found = plugin.find(TENANT, contract())
        assert found is not None
        assert found["reference"] == envelope
        assert httpx.get(f"{again.http_url}/ledger").json()["counts"]["esign"]["effects"] == 1
