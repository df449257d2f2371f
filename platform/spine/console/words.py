"""The console's languages: texts from catalogues, and dates, numbers and amounts as each language writes them.

English is written in the templates and in `say(…)` marks; Arabic comes from `locale/ar.po`, a plain gettext catalogue that
translators' tools read. A text without translation shows in English, and a test refuses that there is one. Times are shown in the zone
in which the company cuts its business days. Arabic is written with Arabic-Indic digits; identifiers never are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from unicodedata import bidirectional
from zoneinfo import ZoneInfo

from babel import dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

CATALOGUES = Path(__file__).with_name("locale")
LANGUAGES: Mapping[str, str] = {"en": "English", "ar": "العربية"}
COOKIE = "spine_language"

_LOCALES = {"en": "en_GB", "ar": "ar_SA"}
_NUMBERING = "default"  # the locale's own separators; babel leaves the digits to us
_RIGHT_TO_LEFT = frozenset({"ar"})
_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def say(text: str) -> str:
    """Marks a text of Python code for the catalogues and leaves it as it is; `Words.of` translates it where it is shown."""
    return text


@dataclass(frozen=True, slots=True)
class Words:
    """One language in one zone, at one moment of business time."""

    language: str
    zone: str
    now: datetime
    catalogue: NullTranslations = field(repr=False)

    @property
    def direction(self) -> str:
        return "rtl" if self.language in _RIGHT_TO_LEFT else "ltr"

    def of(self, text: str, /, **values: object) -> str:
        """The text in this language; a text that no catalogue knows comes back as it is."""
        said = self.catalogue.gettext(text) if text else text
        return said % {name: self._isolated(value) for name, value in values.items()} if values else said

    def _isolated(self, value: object) -> object:
        """A name or a quotation of the other direction stays one piece and turns nothing around it (UAX #9, FSI and PDI)."""
        foreign = isinstance(value, str) and (self.direction == "rtl" or any(bidirectional(letter) in ("R", "AL") for letter in value))
        return f"\u2068{value}\u2069" if foreign else value

    def number(self, value: Decimal | int | float) -> str:
        return self.digits(numbers.format_decimal(value, locale=self._locale, numbering_system=_NUMBERING))

    def percent(self, value: Decimal | int | float) -> str:
        """Of a number from 0 to 100."""
        return self.digits(numbers.format_percent(Decimal(str(value)) / 100, locale=self._locale, numbering_system=_NUMBERING))

    def money(self, amount: Decimal | str, currency: str) -> str:
        exact = Decimal(str(amount))
        return self.digits(numbers.format_currency(exact, currency, locale=self._locale, format="#,##0.00 ¤¤", numbering_system=_NUMBERING))

    def moment(self, at: datetime) -> str:
        """Date and time to the minute in the company's zone."""
        pattern = "d MMM y، HH:mm" if self.language == "ar" else "d MMM y, HH:mm"
        return self.digits(dates.format_datetime(at, pattern, tzinfo=ZoneInfo(self.zone), locale=self._locale))

    def day(self, at: datetime) -> str:
        return self.digits(dates.format_datetime(at, "EEEE d MMMM y", tzinfo=ZoneInfo(self.zone), locale=self._locale))

    def clock(self, at: datetime) -> str:
        """Only the time of day, with seconds."""
        return self.digits(dates.format_datetime(at, "HH:mm:ss", tzinfo=ZoneInfo(self.zone), locale=self._locale))

    def ago(self, at: datetime) -> str:
        """`3 hours ago` or `in 3 hours`, seen from now."""
        return self.digits(dates.format_timedelta(at - self.now, add_direction=True, locale=self._locale))

    def duration(self, length: timedelta) -> str:
        return self.digits(dates.format_timedelta(length, locale=self._locale))

    def digits(self, text: str) -> str:
        return text.translate(_DIGITS) if self.language == "ar" else text

    @property
    def _locale(self) -> str:
        return _LOCALES[self.language]


def words_of(request: Request, *, zone: str, now: datetime) -> Words:
    """In the language of the switch, else in the one the browser asks for, else in English."""
    chosen = request.cookies.get(COOKIE, "")
    language = chosen if chosen in LANGUAGES else _asked_for(request.headers.get("accept-language", ""))
    return Words(language, zone, now, catalogue_of(language))


@cache
def catalogue_of(language: str) -> NullTranslations:
    path = CATALOGUES / f"{language}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def _asked_for(header: str) -> str:
    """The best of ours in an Accept-Language header (RFC 9110 §12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(wanted, key=lambda one: one[0]) if tag in LANGUAGES), "en")
