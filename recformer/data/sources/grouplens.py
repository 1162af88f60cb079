"""The MovieLens sets that GroupLens gives out as archives."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MovieLens:
    """One of them."""

    about: str
    """What is in it, for people."""
    megabytes: int
    """Of the archive."""
    md5: str | None = None
    """Of the archive, where it is known; else GroupLens is asked for it."""


SETS = {
    "ml-100k": MovieLens(
        "943 users, 1,682 movies, 100,000 ratings from 1997 and 1998; age, gender and occupation of users",
        5,
        "0e33842e24a9c977be4e0107933c0723",
    ),
    "ml-1m": MovieLens(
        "6,040 users, 3,883 movies, 1 million ratings from 2000 on, the article's set; age, gender and occupation",
        6,
        "c4d9eecfca2ab87c1945afe126590906",
    ),
    "ml-latest-small": MovieLens("610 users, 9,742 movies, 100,836 ratings up to 2018, for trying things out", 1),
    "ml-10m": MovieLens("69,878 users, 10,681 movies, 10 million ratings up to 2009", 63),
    "ml-20m": MovieLens("138,493 users, 27,278 movies, 20 million ratings up to 2015", 190),
    "ml-25m": MovieLens("162,541 users, 62,423 movies, 25 million ratings up to 2019", 250),
    "ml-32m": MovieLens("200,948 users, 87,585 movies, 32 million ratings up to 2023", 239),
}
