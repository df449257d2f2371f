"""Numbers that name a person or an account: telephones, IBANs, cards, Saudi identities and commercial registrations."""

import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType

# A local number is one of these countries': Saudi Arabia and its neighbours. Numbers with + or 00 are any country's.
_REGIONS = ("SA", "AE", "KW", "BH", "QA", "OM", "JO", "IQ", "YE", "EG")
_CODE = re.compile(r"966|971|965|973|974|968|962|964|967")
_COUNTRY = re.compile(rf"(?:{_CODE.pattern})\d{{7,10}}")

# What names a record, a time or an amount is blanked first; in what is left, a run is digits with separators between.
# A hyphen behind an id goes on with it; behind a date it only parts the date from what follows, and is blanked with it.
_RECORD = re.compile(
    r"""(?ix) (?=[0-9a-fs]) (?:
      (?<!\w) 00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2} (?!\w)
    | (?<!\w) [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} (?!\w)
    | (?<!\w) sha\d+:[0-9a-f]{16,} (?!\w)
    | (?<!\w) (?=\d*[a-f]) [0-9a-f]{16,} (?!\w)
    | (?:
        (?<!\d) \d{4}-\d\d-\d\d
          (?: [T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)? (?:Z|[+-]\d\d:?\d\d)? | (?:-[0-5]\d){3}(?:-\d{3}|-\d{6})? )? (?!\d)
      | (?<![\d/+]) (?:1[34]|19|2\d)\d\d/(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01]) (?![\d/])
      | (?<!\d) \d{1,2}([-/.])\d{1,2}\1\d{4} (?:[ T]\d\d:\d\d(?::\d\d)?)? (?!\d)
      ) (?: [ \t().-]{0,2}-(?=[+(]{0,2}\d) )?
    | (?<![\w.,+-]) \d{1,9}(?:,\d{3})*\.\d{1,2} (?![\w.,]\d|\w)
    )
    """
)
_RUN = re.compile(r"(?:(?<![\w-])|(?<=[A-Za-z])(?=\+))(?<!\d[.,])\(?\+?\(?\d(?:[ \t/().-]{0,3}\d){7,60}(?!\w)(?![.,]\d)")
_IBAN = re.compile(r"(?<![\w-])(?=([A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,40}))")
_BETWEEN = re.compile(r"[\t/]")  # separators to people, and an end to the library
_GROUP = re.compile(r"\d+")
_CARD_SHAPES = {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4)}
_TELEPHONE_SAID = re.compile(
    r"(?i)(?<!\[)(?:phone|mobile|\bmob\b|\btel\b|cell|whats ?app|wa\.me|\bcall\b|\bfax\b|جوال|هاتف|واتس|اتصل|موبايل)[^\d\n]{0,20}$"
)
_REGISTRATION_SAID = re.compile(
    r"(?i)(?<!\[)(?:\bc\.?\s?r\.?\b|commercial\s+reg\w*|\bregistration\b|سجل\s*تجاري|السجل\s*التجاري|س\s?\.\s?ت)[^\d\n]{0,20}$"
)
_BEFORE = 40  # characters in which a number is announced


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """In order of precedence; they may overlap: part of a card number can look like a telephone number."""
    for found in _IBAN.finditer(text):
        if end := _iban_end(found[1]):
            yield found.start(), found.start() + end, "iban"
    left = _RECORD.sub(lambda found: "\0" * len(found[0]), text)
    runs = [(found.start(), found[0], text[max(0, found.start() - _BEFORE) : found.start()]) for found in _RUN.finditer(left)]
    for judge in (_with_check_digits, _telephones_in):
        for at, run, said in runs:
            for start, end, kind in judge(run, said):
                yield at + start, at + end, kind


def warm() -> None:
    """Load the libraries now: for processes that will need them, and must not load them in the middle of something (trap 21)."""
    _telephones(), _check_digits(), _ibans()


def _with_check_digits(run: str, said: str) -> Iterator[tuple[int, int, str]]:
    groups = _groups(run)
    for index, (start, end) in enumerate(groups):
        match end - start:
            case 10 if _REGISTRATION_SAID.search(said + run[:start]):
                yield start, end, "cr-number"
            case 10 if run[start] in "12" and _check_digits().is_valid(run[start:end]):
                yield start, end, "national-id"
            case size if 13 <= size <= 19 and _is_card(run[start:end]):
                yield start, end, "card"
        for last in range(index + 3, min(index + 5, len(groups)) + 1):
            shape = tuple(stop - begin for begin, stop in groups[index:last])
            if shape in _CARD_SHAPES and _is_card(run[start : groups[last - 1][1]]):
                yield start, groups[last - 1][1], "card"


def _telephones_in(run: str, said: str) -> Iterator[tuple[int, int, str]]:
    groups = _groups(run)
    for index in range(len(groups)):
        if found := _telephone(run, groups, index, is_said=bool(_TELEPHONE_SAID.search(said + run[: groups[index][0]]))):
            yield *found, "phone"


def _groups(run: str) -> list[tuple[int, int]]:
    return [found.span() for found in _GROUP.finditer(run)]


def _is_card(written: str) -> bool:
    digits = re.sub(r"\D", "", written)
    return digits[0] in "23456" and _check_digits().is_valid(digits)


def _telephone(run: str, groups: list[tuple[int, int]], index: int, *, is_said: bool) -> tuple[int, int] | None:
    """The longest valid number that begins with this group. Bare digits count only when they begin like a telephone number
    or are announced as one: they are more often an order or a position."""
    start = groups[index][0]
    begins = start
    while begins and run[begins - 1] in "+(":
        begins -= 1
    has_plus = "+" in run[begins:start] and run[start] != "0"  # no country's code begins with it: that plus joins, or is a slip
    if ")" not in run[start : groups[min(index + 1, len(groups) - 1)][0]]:  # the bracket is the sentence's, not the number's
        begins = run.index("+", begins) if has_plus else start
    for _, end in reversed(groups[index : index + 6]):
        digits = re.sub(r"\D", "", run[start:end])
        if not 8 <= len(digits) <= 17:
            continue
        if "/" in run[start:end] and not (has_plus or is_said or _is_prefix(run[start : groups[index][1]])):
            continue
        if has_plus or digits.startswith("00"):
            is_one = _is_telephone(("+" if has_plus else "") + run[start:end], ("SA",))
        elif _COUNTRY.fullmatch(digits) and _is_telephone("+" + digits, ("SA",)):
            is_one = True
        else:
            is_one = (is_said or (digits[0] == "0" and groups[index][1] - start > 1)) and _is_telephone(run[start:end], _REGIONS)
        if is_one:
            return begins, end
    return None


def _is_prefix(first: str) -> bool:
    """What stands before a slash in a telephone number is a prefix or a country's code; in a date or a fraction it seldom looks so."""
    if first.startswith("00"):
        return 4 <= len(first) <= 7
    return (first[0] == "0" and 3 <= len(first) <= 5) or _CODE.fullmatch(first) is not None


def _is_telephone(written: str, regions: tuple[str, ...]) -> bool:
    phonenumbers, written = _telephones(), _BETWEEN.sub(" ", written)
    for region in regions:
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False


def _iban_end(candidate: str) -> int:
    """How many characters of the candidate are an IBAN: what follows it may look like more of it."""
    places = [index for index, character in enumerate(candidate) if character.isalnum()]
    for length in range(min(34, len(places)), 14, -1):
        end = places[length - 1] + 1
        glued = end < len(candidate) and candidate[end].isalnum()
        if not glued and _ibans().is_valid(candidate[:end]):
            return end
    return 0


@cache
def _telephones() -> ModuleType:
    import phonenumbers

    module: ModuleType = phonenumbers
    return module


@cache
def _check_digits() -> ModuleType:
    from stdnum import luhn

    module: ModuleType = luhn
    return module


@cache
def _ibans() -> ModuleType:
    from stdnum import iban

    module: ModuleType = iban
    return module
