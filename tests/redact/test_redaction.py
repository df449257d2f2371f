"""No planted identity and no planted secret comes out; what names a record comes out as it went in."""

import re
import string
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spine.redact import Finding, findings, redact, redact_reference, redacted
from spine.redact.detect import _first_come
from tests.redact.identities import CARDS, IDS, JWTS, MOBILES_IN_GROUPS, PASSWORD, PLANTED, REGISTRATIONS, arabic, in_fours

TraceFunction = Callable[[FrameType, str, Any], Any]

# Text around what is planted: words, ids and punctuation. A digit or a letter glued to a number makes another thing of it.
_BETWEEN = st.sampled_from([" ", "\n", "\t", ", ", ": ", "=", ' "', "' ", " (", "; ", " <", " | "])
_AROUND = st.one_of(st.text(string.ascii_letters + " .,;:!?\n", max_size=40), IDS, st.text("ابتثجحخ دذرز", max_size=20))


@pytest.mark.parametrize("kind", PLANTED)
@settings(deadline=None)
@given(data=st.data(), before=_AROUND, after=_AROUND, left=_BETWEEN, right=_BETWEEN)
def test_no_planted_identity_and_no_planted_secret_comes_out(
    kind: str, data: st.DataObject, before: str, after: str, left: str, right: str
) -> None:
    planted = data.draw(PLANTED[kind])
    told = redact(f"{before}{left}{planted}{right}{after}")
    assert planted not in told
    digits = re.sub(r"\D", "", planted)
    if kind != "secret" and len(digits) >= 9:
        assert digits not in re.sub(r"\D", "", told)
    assert f"[{kind}]" in told or "[secret]" in told


@settings(deadline=None)
@given(
    kind=st.sampled_from(["phone", "card"]),
    data=st.data(),
    between=st.sampled_from(["\t", "/", " / ", "\t\t", "／"]),
    before=_AROUND,
    after=_AROUND,
)
def test_a_tab_or_a_slash_inside_a_number_hides_nothing(kind: str, data: st.DataObject, between: str, before: str, after: str) -> None:
    """A number out of a spreadsheet has tabs between its cells, and many people write 050/123/4567."""
    spaced = MOBILES_IN_GROUPS if kind == "phone" else CARDS.map(in_fours)
    planted = data.draw(spaced).replace(" ", between)
    assert redact(f"{before} {planted} {after}").count(f"[{kind}]") == 1


@settings(deadline=None)
@given(
    day=st.dates(min_value=date(1900, 1, 1), max_value=date(2199, 12, 31)),
    form=st.sampled_from(["%Y/%m/%d", "%d/%m/%Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d\t%d/%m/%Y", "%m/%Y/%d", "%Y/%m"]),
    around=st.sampled_from([("", ""), ("due ", "."), ("(", ")"), ("a\t", "\tb"), ("12\t", "\t1999")]),
)
def test_a_date_with_slashes_is_a_date(day: date, form: str, around: tuple[str, str]) -> None:
    text = day.strftime(form).join(around)
    assert redact(text) == text


@settings(deadline=None)
@given(
    kind=st.sampled_from(["phone", "card", "national-id"]),
    data=st.data(),
    day=st.dates(min_value=date(1900, 1, 1), max_value=date(2199, 12, 31)),
    form=st.sampled_from(["%Y/%m/%d", "%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%Y-%m-%dT10:00:00Z", "1447/05/12"]),
    between=st.sampled_from(["-", "--", " -", " - ", ") -", "+", " ", ", "]),
)
def test_a_date_before_a_number_hides_nothing(kind: str, data: st.DataObject, day: date, form: str, between: str) -> None:
    planted = data.draw(PLANTED[kind])
    told = redact(f"{day.strftime(form)}{between}{planted}")
    assert re.sub(r"\D", "", planted) not in re.sub(r"\D", "", told)
    assert f"[{kind}]" in told
    assert told.startswith(day.strftime(form)), "the date is no part of it"


@settings(deadline=None)
@given(
    part=st.integers(0, 95_999).filter(lambda part: part not in (962, *range(964, 969), *range(971, 975))),
    whole=st.integers(1, 10**9 - 1),
    between=st.sampled_from(["/", " / ", "\t"]),
)
def test_a_fraction_is_a_fraction(part: int, whole: int, between: str) -> None:
    text = f"{part}{between}{whole} tokens"
    assert redact(text) == text


@pytest.mark.parametrize("unseen", ["\u200b", "\u200e", "\u200f", "\u202a", "\u2066", "\u2060", "\u00ad", "\ufeff"])
def test_what_takes_no_place_on_a_screen_hides_nothing(unseen: str) -> None:
    """A number pasted out of Arabic text brings direction marks with it, and a reader sees the number all the same."""
    assert redact(f"to sara{unseen}@ac{unseen}me.com or {unseen}+966{unseen}50 123{unseen}4567{unseen}.") == (
        f"to [email] or {unseen}[phone]{unseen}."
    )
    assert redact_reference(f"lead-sara{unseen}@acme.com") == "[email]"
    assert redacted({f"no{unseen}te": f"plain{unseen}words"}) == {f"no{unseen}te": f"plain{unseen}words"}
    assert redact(f"key sk.t1.abcdef{unseen}123456.aaaabbbbcccc") == "key [secret]"


@settings(deadline=None)
@given(said_and_number=REGISTRATIONS, before=_AROUND, is_arabic=st.booleans())
def test_a_commercial_registration_goes_where_words_announce_it(said_and_number: tuple[str, str], before: str, is_arabic: bool) -> None:
    said, number = said_and_number
    written = arabic(number) if is_arabic else number
    assert redact(f"{before} {said}{written}.").endswith(f"{said}[cr-number].")


@settings(deadline=None)
@given(number=st.from_regex(r"[3-9]\d{9}", fullmatch=True))
def test_ten_digits_that_nothing_announces_are_an_order_and_stay(number: str) -> None:
    assert redact(f"order {number} was paid") == f"order {number} was paid"


@settings(deadline=None)
@given(password=PASSWORD, form=st.sampled_from(["postgresql://app:{}@db/spine", "password={}", '{{"client_secret": "{}"}}', "api_key: {}"]))
def test_a_password_goes_wherever_its_name_or_its_place_tells_it(password: str, form: str) -> None:
    assume(password not in form)
    assert password not in redact(form.format(password))


@settings(deadline=None)
@given(jwt=JWTS)
def test_a_bearer_token_goes_and_the_scheme_stays(jwt: str) -> None:
    assert redact(f"Authorization: Bearer {jwt}") == "Authorization: Bearer [secret]"


@settings(deadline=None)
@given(ids=st.lists(IDS, min_size=1, max_size=4), between=st.sampled_from([" ", ", ", " | ", "\n", "; "]))
def test_ids_digests_times_and_money_come_out_as_they_went_in(ids: list[str], between: str) -> None:
    text = between.join(ids)
    assert redact(text) == text


@settings(deadline=None)
@given(kind=st.sampled_from(sorted(PLANTED)), data=st.data(), around=_AROUND)
def test_what_was_redacted_stays_as_it_is(kind: str, data: st.DataObject, around: str) -> None:
    once = redact(f"{around} {data.draw(PLANTED[kind])} {around}")
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "GTX Plus Basic something to talk about",
        "bearer certificates of the company",
        "invoice 1234567890 for 4,514.00 SAR",
        "the board meets on 05-11-2026 12:30",
        "10122026 11222026 11111",
        "v1.13.27.4 10.0.0.1 spine@1.2.3",
        "tokens 12000 of 30000, retried in 5 s",
        "tokens: 12000",
        "from 2026/11/21 to 2026/12/01, 1/2 of 12000/30000",
        "2026/11/21\t2026/11/22\t4500\t1200",
        "/v1/approvals/2026/00123456",
        "spine@[1.2]",
        "backup-2026-01-02-03-04-05-123456.tar, 2026-01-02-03-04-05",
        "2026/01/02-2026/01/05, 2026-01-02-2026-01-05",
        "1b4e28ba-2fa1-11d2-883f-0016d3cca427-966501234567",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("12 0501234567 88", "12 [phone] 88"),
        ("(050) 123-4567 or +1 (415) 555-2671", "[phone] or [phone]"),
        ("Acme (+966501239876), or (0501234567)", "Acme ([phone]), or ([phone])"),
        ("tel 92000 1234", "tel [phone]"),
        ("wa.me/966501234567", "wa.me/[phone]"),
        ("sara%40acme.example", "[email]"),
        ("سارة@مثال.السعودية", "[email]"),
        ("iban SA03 8000 0000 6080 1016 7519 please", "iban [iban] please"),
        ("gb82west12345698765432", "[iban]"),
        ("redis://:pw@host and Basic dXNlcjpwYXNzd29yZA==", "redis://:[secret]@host and Basic [secret]"),
        ("<sara@acme.example>", "<[email]>"),
        ("sara@[192.0.2.1] or omar@[IPv6:2001:db8::1]", "[email] or [email]"),
        ("+966\t50\t123\t4567", "[phone]"),
        ("050/123/4567, 00966/50/123/4567, 966/50/1234567", "[phone], [phone], [phone]"),
        ("tel 920/001/234", "tel [phone]"),
        ("4111/1111/1111/1111", "[card]"),
        ("2026/01/02-966501234567", "2026/01/02-[phone]"),
        ("2026/01/02-4111111111111111", "2026/01/02-[card]"),
        ("1447/05/12-0501234567", "1447/05/12-[phone]"),
        ("2026/01/02+(050) 123-4567", "2026/01/02[phone]"),
        ("2026-01-02-966501234567", "2026-01-02-[phone]"),
        ("2026-01-02 10:00+0501234567", "2026-01-02 10:00+[phone]"),
        ("02/01/2026--(050) 123-4567", "02/01/2026--[phone]"),
    ],
)
def test_forms_that_people_write(text: str, told: str) -> None:
    assert redact(text) == told


def test_a_finding_tells_where_in_the_text_as_given() -> None:
    text = "هاتف ٠٥٠١٢٣٤٥٦٧، sara@acme.example"
    assert [(text[one.start : one.end], one.kind) for one in findings(text)] == [("٠٥٠١٢٣٤٥٦٧", "phone"), ("sara@acme.example", "email")]


def test_json_keeps_its_shape_and_loses_what_is_in_its_text() -> None:
    given_value = {
        "note": ["call 0501234567", {"by": "sara@acme.example"}],
        "lead_id": "1010101010",
        "said": "1010101010",
        "owner_id": "sara@acme.example",
        "password": "correct horse",
        "amount": 4514,
        "none": None,
        "0501234567": True,
    }
    assert redacted(given_value) == {
        "note": ["call [phone]", {"by": "[email]"}],
        "lead_id": "1010101010",
        "said": "[national-id]",
        "owner_id": "[email]",
        "password": "[secret]",
        "amount": 4514,
        "none": None,
        "[phone]": True,
    }


def test_an_identifier_keeps_its_digits_and_loses_an_address() -> None:
    assert redact_reference("0501234567") == "0501234567"
    assert redact_reference("lead-sara@acme.example") == "[email]"


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "1 " * 50_000, "a@" * 30_000, "-" * 100_000, "0501234567 " * 2_000, "sk." * 30_000, "AB12" * 20_000]
)
def test_a_long_text_takes_time_in_proportion(text: str) -> None:
    redact(text)  # pytest's own time limit is the assertion: a quadratic scan of these takes minutes


def _lines_run(text: str) -> int:
    """How many lines of ours run to find what is in the text: what grows here grows as the work does, on any machine."""
    count, before = 0, sys.gettrace()

    def look(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        nonlocal count
        count += event == "line"
        return look if frame.f_globals.get("__name__", "").startswith("spine.redact") else None

    sys.settrace(look)
    try:
        findings(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("written", ["ab@cd.ef;", "sk.t1.abcdef123456.aaaabbbbcccc ", "4111111111111111, "])
def test_what_is_found_is_not_compared_with_all_that_was_found_before(written: str) -> None:
    """A path of 62 KB full of addresses kept a gateway busy for five seconds, before it knew who asked."""
    assert len(findings(written * 400)) == 400
    assert _lines_run(written * 400) < 5 * _lines_run(written * 100)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.sampled_from(["secret", "email", "phone"])), max_size=30))
def test_of_what_overlaps_the_first_stays(drawn: list[tuple[int, int, str]]) -> None:
    candidates = [(start, start + length, kind) for start, length, kind in drawn]
    expected: list[Finding] = []
    for start, end, kind in candidates:
        if all(end <= one.start or one.end <= start for one in expected):
            expected.append(Finding(start, end, kind))
    assert list(_first_come(candidates, 60)) == expected


def test_importing_redaction_loads_no_library_and_a_clean_text_needs_none() -> None:
    program = (
        "import sys; from spine.redact import redact; redact('approval.decided 0191f2f4'); "
        "print([name for name in ('phonenumbers', 'stdnum', 'pydantic') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
