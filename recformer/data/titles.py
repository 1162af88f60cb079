"""Movie titles as every format should give them: the name apart from the year."""

import re

# "Toy Story (1995)", "Associate, The (L'Associe)(1982)", "Land Before Time III (1995) (V)", "Death Note (2006–2007)"
_TITLE_WITH_YEAR = re.compile(r"(.*\S)\s*\(([0-9]{4})(?:\s*[-–]\s*(?:[0-9]{4})?)?\)(?:\s*\(V\))?\s*")
_YEAR = re.compile(r"[0-9]{4}")


def split_title(title: str) -> tuple[str, int | None]:
    """The title without its year, and the year: "Toy Story (1995)" gives ("Toy Story", 1995).

    The year is None, and the title itself, where the title ends in none.
    """
    match = _TITLE_WITH_YEAR.fullmatch(title)
    if match is None:
        return title.strip(), None
    return match.group(1), int(match.group(2))


def year_of(text: str) -> int | None:
    """The year in `text`, None where it holds anything but four digits."""
    return int(text) if _YEAR.fullmatch(text) else None
