"""Made-up identities and secrets that pass their check digits, and ids that are none: for both directions of the properties."""

import base64
import string
from collections.abc import Callable

from hypothesis import strategies as st
from stdnum import iban, luhn

_DIGITS = st.text("0123456789", min_size=1, max_size=40)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def with_check_digit(prefix: st.SearchStrategy[str], length: int) -> st.SearchStrategy[str]:
    def complete(head: str, tail: str) -> str:
        number = (head + tail)[: length - 1]
        return number + luhn.calc_check_digit(number)

    return st.builds(complete, prefix, digits(length))


def in_fours(number: str) -> str:
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def arabic(number: str) -> str:
    return number.translate({ord(str(digit)): chr(0x660 + digit) for digit in range(10)})


def _saudi_iban(account: str) -> str:
    return "SA" + iban.calc_check_digits("SA00" + account) + account


WORD = st.text(string.ascii_letters, min_size=3, max_size=12)
EMAILS = st.builds(lambda local, host: f"{local}@{host}.example", st.from_regex(r"[a-z][a-z0-9.+_-]{0,15}[a-z0-9]", fullmatch=True), WORD)
MOBILES = st.builds(
    lambda form, rest: form.format(rest[0], rest[1:4], rest[4:8]),
    st.sampled_from(["+9665{}{}{}", "05{}{}{}", "009665{}{}{}", "+966 5{} {} {}", "05{} {} {}", "+966-5{}-{}-{}", "9665{}{}{}"]),
    digits(8).filter(lambda rest: rest[0] in "034568"),
)
MOBILES_IN_GROUPS = st.builds(
    lambda form, rest: form.format(rest[0], rest[1:4], rest[4:8]),
    st.sampled_from(["+966 5{} {} {}", "05{} {} {}", "00966 5{} {} {}", "966 5{} {} {}"]),
    digits(8).filter(lambda rest: rest[0] in "034568"),
)
ABROAD = st.sampled_from(["+97150{}", "+4420794{:.5}", "+1415555{:.4}", "00201001{:.6}", "+491701{:.6}"]).flatmap(
    lambda form: digits(7).filter(lambda rest: rest[0] in "23456").map(form.format)
)
NATIONAL_IDS = with_check_digit(st.sampled_from(["1", "2"]), 10)
CARDS = with_check_digit(st.sampled_from(["4", "51", "34", "6011", "5888"]), 16)
IBANS = digits(20).map(_saudi_iban)
REGISTRATIONS = st.builds(
    lambda said, number: (said, number),
    st.sampled_from(["CR ", "C.R. ", "CR: ", "cr no. ", "Commercial Registration: ", "سجل تجاري ", "السجل التجاري: "]),
    digits(10),
)
PASSWORD = st.text(string.ascii_letters + string.digits + "!*_$", min_size=8, max_size=24)
JWTS = st.builds(lambda a, b, c: f"eyJ{a}.eyJ{b}.{c}", *[st.text(string.ascii_letters + string.digits + "_-", min_size=8, max_size=40)] * 3)
KEYS = st.one_of(
    st.builds(
        lambda tenant, secret: f"sk.{tenant}.0191f2f4.{secret}",
        WORD,
        st.text(string.ascii_letters + string.digits, min_size=16, max_size=40),
    ),
    st.binary(min_size=24, max_size=32).map(lambda raw: "whsec_" + base64.b64encode(raw).decode()),
    JWTS,
)
PEM = st.binary(min_size=40, max_size=90).map(
    lambda raw: f"-----BEGIN PRIVATE KEY-----\n{base64.encodebytes(raw).decode()}-----END PRIVATE KEY-----"
)

Kind = tuple[str, st.SearchStrategy[str]]
PLANTED: dict[str, st.SearchStrategy[str]] = {
    "email": EMAILS,
    "phone": st.one_of(MOBILES, ABROAD, MOBILES.map(arabic)),
    "national-id": st.one_of(NATIONAL_IDS, NATIONAL_IDS.map(arabic)),
    "card": st.one_of(CARDS, CARDS.map(in_fours)),
    "iban": st.one_of(IBANS, IBANS.map(in_fours), IBANS.map(str.lower)),
    "secret": st.one_of(KEYS, PEM),
}
"""What must never come out, by the kind of its mark."""

_HEX = "0123456789abcdef"


def _hex(length: int) -> st.SearchStrategy[str]:
    return st.text(_HEX, min_size=length, max_size=length).filter(lambda text: not text.isdecimal())


IDS: st.SearchStrategy[str] = st.one_of(
    st.uuids().map(str),
    _hex(64).map(lambda text: f"sha256:{text}"),
    *map(_hex, (16, 32, 40, 64)),
    st.builds(lambda trace, span: f"00-{trace}-{span}-01", _hex(32), _hex(16)),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.datetimes().map(lambda at: str(at.replace(microsecond=0))),
    st.dates().map(str),
    st.tuples(*[st.integers(0, 99)] * 3).map(lambda parts: "v" + ".".join(map(str, parts))),
    st.decimals(0, 10**7, places=2).map(lambda amount: f"{amount:,} SAR"),
    st.decimals(0, 10**7, places=2).map(str),
    st.builds(lambda tenant, automation, key: f"{tenant}/{automation}/{key}", WORD, WORD, st.uuids()),
    st.builds(
        lambda key, step: f"{key}:step-{step}", st.text(string.ascii_uppercase + string.digits, min_size=8, max_size=8), st.integers(0, 9)
    ),
    WORD.map(lambda name: f"contact/{name.lower()}"),
    _hex(40).map(lambda text: f"<{text}@mail.example.com>"),
    st.integers(0, 10**7 - 1).map(str),
)
"""What names a record, and has to come out as it went in."""

Around = Callable[[str], str]
