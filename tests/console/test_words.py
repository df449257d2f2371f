"""The console's languages: every text is translated, nothing is left over, and each language writes its own numbers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2 import Environment
from jinja2.ext import babel_extract

import spine.console
from spine.console.words import CATALOGUES, LANGUAGES, Words, catalogue_of

CONSOLE = Path(spine.console.__file__).parent
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PLACES = re.compile(r"%\((\w+)\)s")


def said() -> Iterator[tuple[str, ...]]:
    """Every text of templates and of `say(…)` marks, with its plural where it has one."""
    options = {"trim_blocks": "true", "lstrip_blocks": "true"}
    for path in sorted((CONSOLE / "templates").glob("*.html")):
        for _, _, text, _ in babel_extract(BytesIO(path.read_bytes()), ("_", "gettext", "ngettext"), [], options):
            if text is not None:  # None: what is said is a variable, whose texts are marked where they are written
                yield (text,) if isinstance(text, str) else tuple(part for part in text if part)
    for path in sorted(CONSOLE.glob("*.py")):
        for _, text, _, _ in extract("python", BytesIO(path.read_bytes()), {"say": None, "ngettext": (1, 2)}):
            yield (text,) if isinstance(text, str) else tuple(text)


def catalogue(language: str) -> Catalog:
    with (CATALOGUES / f"{language}.po").open("rb") as source:
        return read_po(source, locale=language)


def words(language: str) -> Words:
    return Words(language, "Asia/Riyadh", NOW, catalogue_of(language))


def test_every_text_is_in_the_arabic_catalogue_and_none_is_left_over() -> None:
    used = {text[0] for text in said()}
    found = catalogue("ar")
    known = {message.id[0] if isinstance(message.id, tuple) else message.id for message in found if message.id}
    assert used - known == set(), "add these to locale/ar.po"
    assert known - used == set(), "nobody says these any more: take them out of locale/ar.po"


def test_every_translation_is_there_whole_and_keeps_its_places() -> None:
    for message in catalogue("ar"):
        if not message.id:
            continue
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(forms), f"{message.id!r} is not translated"
        assert len(forms) == (6 if isinstance(message.id, tuple) else 1), message.id
        assert not message.fuzzy, message.id
        wanted = set(PLACES.findall(message.id if isinstance(message.id, str) else message.id[1]))
        for form in forms:
            assert set(PLACES.findall(form)) <= wanted, f"{message.id!r} knows no such place: {form!r}"
        assert set(PLACES.findall(forms[-1])) == wanted, f"{message.id!r} lost a place: {forms[-1]!r}"


def test_arabic_counts_in_its_six_ways() -> None:
    say = catalogue_of("ar").ngettext
    forms = [say("%(shown)s request waits", "%(shown)s requests wait", n) for n in (0, 1, 2, 3, 11, 100)]
    assert len(set(forms)) >= 4


def test_each_language_writes_its_own_digits_and_both_write_the_companys_time() -> None:
    at = NOW + timedelta(hours=3)
    assert words("en").moment(at) == "22 Nov 2026, 18:00"
    assert words("ar").moment(at) == "٢٢ نوفمبر ٢٠٢٦، ١٨:٠٠"
    assert words("en").ago(at) == "in 3 hours"
    assert words("ar").ago(at) == "خلال ٣ ساعات"
    assert words("en").money(Decimal("1250.5"), "SAR") == "1,250.50 SAR"
    assert words("ar").number(12345) == "١٢٬٣٤٥"
    assert words("en").percent(70) == "70%"


def test_an_exact_amount_stays_exact() -> None:
    assert words("en").money("999999999999.99", "SAR") == "999,999,999,999.99 SAR"
    assert words("en").money("0.10", "SAR") == "0.10 SAR"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_can_be_read_in_every_language(language: str) -> None:
    from spine.console.render import _environment

    environment: Environment = _environment(language)
    for name in environment.list_templates():
        environment.get_template(name)
