"""A shop's purchases and products as CSV: text ids, codes with leading zeros, times with a zone, quantities."""

import csv
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

SALES = "verkauf.csv"
RANGE = "sortiment.csv"


def write_shop(
    folder: Path, customers: int = 30, header: tuple[str, ...] = ("Kunde", "Artikelnr", "Wann", "Menge")
) -> Path:
    """A shop's purchases and products: text ids, codes with leading zeros, times with a zone, quantities."""
    draw = random.Random(1)
    codes = [f"{number:06d}" for number in range(1, 41)]
    rows: list[tuple[Any, ...]] = []
    for customer in range(customers):
        begin = datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=1))) + timedelta(minutes=draw.randrange(200_000))
        for place, code in enumerate(draw.sample(codes, draw.randint(5, 12))):
            when = begin + timedelta(hours=7 * place)
            rows.append((f"K-{customer:04d}", code, when.isoformat(), 1 + place % 3))
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / SALES, [header, *sorted(rows, key=lambda row: str(row[2]))])
    products = [(code, f"Kanne {code[-2:]}, blau", ("Haus", "Hof")[int(code) % 2], "Nord") for code in codes]
    _write(folder / RANGE, [("Artikelnr", "Bezeichnung", "Gruppe", "Marke"), *products])
    return folder


def _write(path: Path, rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
