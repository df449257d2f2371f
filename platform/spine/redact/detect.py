"""Where identities and secrets are in a text, each kind by its own finder behind a cheap hint that it may be there at all."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from spine.redact import numbers, secret_forms
from spine.redact.numbers import warm

__all__ = ["Finding", "findings", "references", "warm"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """`text[start:end]` is of this kind: email, phone, iban, card, national-id, cr-number or secret."""

    start: int
    end: int
    kind: str


# Most strings that pass a boundary hold nothing: these hints say so in a microsecond, and each finder runs only behind its own.
_IS_ID = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|sha256:[0-9a-f]{64}|\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)"
)
_DIGITS = re.compile(r"\d(?:[ \t/().-]{0,3}\d){7}")
_EMAIL = re.compile(
    r"(?<![\w.%+'-])[\w.%+'-]+?(?:@|%40)(?:(?:[\w-]+\.)+[^\W\d][\w-]*|\[(?:\d{1,3}(?:\.\d{1,3}){3}|(?i:IPv6):[0-9a-fA-F:.]{2,45})\])"
)
# A message id of ours, or of most mail systems: it names a letter, not a person.
_MESSAGE_ID = re.compile(r"(?:[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@", re.IGNORECASE)
_PLAIN = {
    **{base + digit: str(digit) for base in (0x660, 0x6F0, 0xFF10) for digit in range(10)},
    **dict.fromkeys([0xA0, 0x2007, 0x2009, 0x202F], " "),
    **dict.fromkeys(range(0x2010, 0x2016), "-"),
    **dict.fromkeys([0xFF0F, 0x2044, 0x2215], "/"),
    0xFF20: "@",
    0xFF0E: ".",
    0xFF0B: "+",
}

# Takes no place on a screen, and divides what is one word to a reader: direction marks come with telephone numbers in Arabic text.
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]")


def findings(text: str) -> tuple[Finding, ...]:
    """Every identity and secret in the text, in order, none overlapping another. Positions are those of `text` as given."""
    return _found(text, with_numbers=True)


def references(text: str) -> tuple[Finding, ...]:
    """As `findings`, for text that is an identifier: digits are part of it, an address or a secret never is."""
    return _found(text, with_numbers=False)


# What a record is made of comes again in the next one: names of automations and actions, states, keys, the same flow's id four times.
# Only texts in which nothing was found are kept, short ones, and no more than these.
_HARMLESS: tuple[set[str], set[str]] = (set(), set())
_SHORT, _MOST = 64, 4096


def _found(text: str, *, with_numbers: bool) -> tuple[Finding, ...]:
    harmless = _HARMLESS[with_numbers]
    if text in harmless or _IS_ID.fullmatch(text):
        return ()
    found = _looked_for(text, with_numbers=with_numbers)
    if not found and len(text) <= _SHORT:
        if len(harmless) >= _MOST:
            harmless.clear()
        harmless.add(text)
    return found


def _looked_for(text: str, *, with_numbers: bool) -> tuple[Finding, ...]:
    if not text.isascii() and _UNSEEN.search(text):
        return _seen(text, with_numbers=with_numbers)
    plain = text if text.isascii() else text.translate(_PLAIN)  # a character for a character: positions stay
    has_secret = secret_forms.may_hold_one(plain)
    has_address = "@" in plain or "%40" in plain
    has_number = with_numbers and _DIGITS.search(plain) is not None
    if not (has_secret or has_address or has_number):
        return ()
    # In order of precedence: a password that looks like a telephone number is a secret.
    candidates: list[Iterable[tuple[int, int, str]]] = []
    if has_secret:
        candidates.append((start, end, "secret") for start, end in secret_forms.spans(plain))
    if has_address:
        candidates.append(_addresses(plain))
    if has_number:
        candidates.append(numbers.spans(plain))
    return tuple(sorted(_first_come(chain.from_iterable(candidates), len(plain))))


def _seen(text: str, *, with_numbers: bool) -> tuple[Finding, ...]:
    """What is found in the text as it looks, at its positions in the text as it is: what was unseen inside a finding goes with it."""
    places = [place for place, character in enumerate(text) if not _UNSEEN.match(character)]
    found = _found("".join(text[place] for place in places), with_numbers=with_numbers)
    return tuple(Finding(places[one.start], places[one.end - 1] + 1, one.kind) for one in found)


def _first_come(candidates: Iterable[tuple[int, int, str]], length: int) -> Iterator[Finding]:
    """Each candidate that overlaps none before it. What is taken is looked up by its place, not among all that was found:
    a text of thousands of addresses comes with any request, and comparing each with each took seconds."""
    taken = bytearray(length)
    for start, end, kind in candidates:
        if taken.find(1, start, end) < 0:
            taken[start:end] = b"\1" * (end - start)
            yield Finding(start, end, kind)


def _addresses(text: str) -> Iterator[tuple[int, int, str]]:
    for found in _EMAIL.finditer(text):
        if not _MESSAGE_ID.match(text, found.start()):
            yield found.start(), found.end(), "email"
