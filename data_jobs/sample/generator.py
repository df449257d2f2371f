"""Makes the sample: the same bytes for the same seed, on every machine.

Shape and dirt follow a real B2B CRM export: blank accounts in open deals only, one product written in two ways, misspelt
sectors and countries, day-first dates, prospects without dates, more deals closed at the end of a quarter. Six rows are
beyond repair, one for each common reason, so that quarantine has something to show. Unlike the real one, winning depends a
little on product, agent and sector, so that a score has something to learn.
"""

import csv
import io
import math
import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

SEED = 20_240_630
FIRST_DAY, LAST_DAY = date(2023, 7, 3), date(2024, 6, 28)
OPPORTUNITIES = 620

PRODUCTS = (
    ("Lumo Basic", "Lumo", 540),
    ("Lumo Pro", "Lumo", 4780),
    ("Lumo Plus", "Lumo", 1120),
    ("Kite Mini", "Kite", 60),
    ("Kite Advanced", "Kite", 3350),
    ("Terra 300", "Terra", 25900),
)
_PULL = {"Lumo Basic": 0.5, "Lumo Pro": 0.0, "Lumo Plus": 0.2, "Kite Mini": 0.8, "Kite Advanced": -0.5, "Terra 300": -1.4}
_SHARE = (26, 20, 16, 22, 14, 2)
_SECTORS = (
    "retail",
    "medical",
    "technolgy",
    "software",
    "finance",
    "marketing",
    "services",
    "telecommunications",
    "employment",
    "entertainment",
)
_COUNTRIES = ("Kenya", "Philipines", "Korea", "Norway", "Brazil", "Germany", "Jordan", "Japan")
_OFFICES = ("North", "South", "West")
_FIRST = ("Mara", "Ilan", "Teodra", "Bram", "Sunniva", "Okoro", "Leto", "Pilar", "Anselm", "Yusra", "Corvin", "Dalia")
_LAST = ("Selwick", "Orbanne", "Quill", "Tamsen", "Verholt", "Ashdun", "Marrow", "Pendry", "Lunde", "Okanja", "Fairwell", "Drost")
_STEMS = ("Tarve", "Ombri", "Quent", "Velor", "Brasso", "Nimbu", "Halden", "Corvi", "Estra", "Juno", "Palim", "Rusko")
_ENDS = ("xon", "dyne", " Foods", " & Partners", "plex", " Logistics", "ware", " Holding")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def generate(seed: int = SEED) -> dict[str, str]:
    """File name → CSV text."""
    dice = random.Random(seed)
    agents = [f"{first} {last}" for first, last in zip(_FIRST, _LAST, strict=True)]
    accounts = _accounts(dice)
    pipeline = [_opportunity(dice, agents, accounts) for _ in range(OPPORTUNITIES - 6)]
    pipeline.sort(key=lambda row: (row[5] == "", row[5][6:] + row[5][3:5] + row[5][:2], row[0]))
    for place, row in zip(range(60, OPPORTUNITIES, 100), _beyond_repair(pipeline), strict=True):
        pipeline.insert(place, row)
    teams = [(agent, f"{_FIRST[-1 - n % 3]} {_LAST[n % 3]}", _OFFICES[n % 3]) for n, agent in enumerate(agents)]
    return {
        "accounts.csv": _csv(
            ("account", "sector", "year_established", "revenue", "employees", "office_location", "subsidiary_of"),
            (account[:7] for account in accounts),
        ),
        "products.csv": _csv(("product", "series", "sales_price"), PRODUCTS),
        "sales_teams.csv": _csv(("sales_agent", "manager", "regional_office"), teams),
        "sales_pipeline.csv": _csv(
            ("opportunity_id", "sales_agent", "product", "account", "deal_stage", "engage_date", "close_date", "close_value"), pipeline
        ),
    }


def _accounts(dice: random.Random) -> list[tuple[str, ...]]:
    names = [stem + end for stem in _STEMS for end in _ENDS]
    chosen = dice.sample(names, 42)
    parents = chosen[:5]
    return [
        (
            name,
            _SECTORS[n % len(_SECTORS)],
            str(dice.randint(1979, 2017)),
            f"{dice.lognormvariate(6.8, 0.9):.2f}",
            str(int(dice.lognormvariate(7.9, 1.0)) + 9),
            _COUNTRIES[n % len(_COUNTRIES)] if n % 5 == 0 else "United States",
            dice.choice(parents) if n >= 5 and n % 6 == 0 else "",
        )
        for n, name in enumerate(chosen)
    ]


def _opportunity(dice: random.Random, agents: Sequence[str], accounts: Sequence[tuple[str, ...]]) -> list[str]:
    product, _, price = dice.choices(PRODUCTS, weights=_SHARE)[0]
    agent, account = dice.choice(agents), dice.choice(accounts)
    engaged = FIRST_DAY + timedelta(days=int((LAST_DAY - FIRST_DAY).days * dice.random() ** 0.8))
    closed = _towards_quarter_end(dice, engaged + timedelta(days=dice.randint(3, 120)))
    logit = 0.5 + _PULL[product] + 1.1 * math.sin(agents.index(agent)) + (0.5 if account[1] in ("retail", "software") else -0.1)
    written = "LumoPro" if product == "Lumo Pro" else product
    row = ["".join(dice.choices(_LETTERS, k=8)), agent, written, account[0]]
    match dice.choices(("Prospecting", "Engaging", "closed"), weights=(6, 8, 86))[0]:
        case "Prospecting":
            return [*_sometimes_blank(dice, row), "Prospecting", "", "", ""]
        case stage if stage == "Engaging" or closed > LAST_DAY:
            return [*_sometimes_blank(dice, row), "Engaging", _day_first(engaged), "", "0"]
        case _ if dice.random() < 1 / (1 + math.exp(-logit)):
            return [*row, "Won", _day_first(engaged), _day_first(closed), str(max(round(price * dice.gauss(1, 0.12)), 1))]
        case _:
            return [*row, "Lost", _day_first(engaged), _day_first(closed), "0"]


def _beyond_repair(pipeline: Sequence[Sequence[str]]) -> list[list[str]]:
    """One row for each reason, made of good ones."""
    won = [row for row in pipeline if row[4] == "Won"]
    return [
        ["Q0000001", *won[0][1:5], "31-02-2024", *won[0][6:]],
        [won[1][0], *won[2][1:]],
        ["Q0000003", won[3][1], "Zephyr 9", *won[3][3:]],
        ["Q0000004", *won[4][1:4], "Negotiating", *won[4][5:]],
        ["Q0000005", *won[5][1:7], "-" + won[5][7]],
        ["Q0000006", *won[6][1:6], "2024/03/05", won[6][7]],
    ]


def _sometimes_blank(dice: random.Random, row: Sequence[str]) -> list[str]:
    return [*row[:3], "null" if dice.random() < 0.5 else row[3]]


def _towards_quarter_end(dice: random.Random, day: date) -> date:
    months_left = (3 - day.month) % 3
    return day + timedelta(days=30 * months_left) if dice.random() < 0.3 else day


def _day_first(day: date) -> str:
    return day.strftime("%d-%m-%Y")


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
