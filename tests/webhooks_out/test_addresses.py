"""Where a webhook may go."""

import psycopg
import pytest

from spine.errors import InvalidInput
from spine.stack.postgres import EmbeddedPostgres
from spine.webhooks_out.addresses import refuse_unfit, target_of
from tests.webhooks_out.conftest import Office, Receiver


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "https:///path", "example.com/hook", "https://user:secret@example.com/", "https://example.com/#x",
        "https://example.com:0/", "https://example.com:99999/", "https://exa mple.com/", "https://example.com/\r\nX: y", "",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        refuse_unfit(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1",
        "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "::", "ff02::1", "fec0::1", "2002:a00:1::1", "64:ff9b::a00:1", "::10.0.0.1",
    ],
)  # fmt: skip
def test_a_name_that_leads_into_a_private_network_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="private network"):
        target_of("https://hooks.example.com/x", may_be_private=False, lookup=lambda _host, _port: [address])


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(InvalidInput, match="private network"):
        target_of("https://hooks.example.com/x", may_be_private=False, lookup=lambda _host, _port: ["93.184.216.34", "10.0.0.1"])


def test_a_public_address_is_the_one_that_is_used() -> None:
    target = target_of("https://hooks.example.com/x", may_be_private=False, lookup=lambda _host, _port: ["93.184.216.34"])
    assert (target.address, target.host, target.port, target.is_tls) == ("93.184.216.34", "hooks.example.com", 443, True)


def test_http_is_for_loopback_and_only_where_private_addresses_are_allowed() -> None:
    with pytest.raises(InvalidInput, match="not https"):
        target_of("http://hooks.example.com/", may_be_private=True, lookup=lambda _host, _port: ["93.184.216.34"])
    with pytest.raises(InvalidInput, match="not https"):
        target_of("http://intern.example/", may_be_private=True, lookup=lambda _host, _port: ["10.0.0.1"])
    with pytest.raises(InvalidInput, match="private network"):
        target_of("http://localhost/", may_be_private=False, lookup=lambda _host, _port: ["127.0.0.1"])
    assert target_of("http://localhost:8080/", may_be_private=True, lookup=lambda _host, _port: ["127.0.0.1"]).port == 8080
    for address in ("224.0.0.1", "0.0.0.0"):
        with pytest.raises(InvalidInput):
            target_of("https://x.example/", may_be_private=True, lookup=lambda _host, _port, found=address: [found])


def test_a_name_that_changed_its_mind_is_refused_when_it_is_sent(office: Office, receiver: Receiver) -> None:
    """Registered while it was fine (here: while private addresses were allowed), it leads inside by the time of the attempt."""
    office.add(receiver.url)
    office.publish()
    office.fan_out()
    assert office.send(may_be_private=False) == 1
    assert receiver.got == []
    (told,) = office.deliveries()
    assert told.state == "waiting"
    assert "private network" in (told.error or "")


def test_it_connects_to_the_address_that_was_judged_whatever_the_name_says_later(
    office: Office, receiver: Receiver, postgres: EmbeddedPostgres, database_name: str
) -> None:
    endpoint_id, _ = office.add(receiver.url)
    with psycopg.connect(postgres.url(database=database_name)) as conn:  # no role of ours changes an address
        conn.execute(
            "update webhook_endpoints set url = replace(url, '127.0.0.1', 'nowhere.invalid') where endpoint_id = %s", (endpoint_id,)
        )
    office.publish()
    office.fan_out()
    office.send(lookup=lambda _host, _port: ["127.0.0.1"])
    assert receiver.got[0][0]["host"].startswith("nowhere.invalid:")


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..b"])
def test_what_is_no_name_of_a_host_has_no_address(host: str) -> None:
    with pytest.raises(OSError, match="is no name of a host"):
        target_of(f"https://{host}/", may_be_private=False)
