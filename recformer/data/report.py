"""What became of the rows of a dataset: how many were read, what was left out and why, and what to know of the rest."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from recformer.data.mapping import Duplicates

LEAST = 3  # interactions of a user who can be judged: one to learn from, one to validate, one to test
_JANUARY_1970 = 31 * 86_400


@checked_dataclass(config=ConfigDict(extra="forbid"))
class Report:
    """Counts over all files of a dataset; whatever is left out of it is counted here."""

    rows: int = 0
    """Interactions in the files."""
    empty: int = 0
    """Rows without a user or an item: left out."""
    other_events: int = 0
    """Rows of events that were not chosen: left out."""
    low_ratings: int = 0
    """Rows below the lowest rating: left out."""
    duplicates: int = 0
    """Rows that repeat user, item and time of another."""
    duplicates_said: Duplicates | None = None
    rows_of_few: int = 0
    """Interactions of users or items that have too few (k-core): left out."""
    users_of_few: int = 0
    items_of_few: int = 0
    interactions: int = 0
    users: int = 0
    items: int = 0
    """The whole catalogue."""
    tied: int = 0
    """Interactions in the same second as another of their user."""
    short_users: int = 0
    """Users with fewer than LEAST interactions."""
    items_not_in_table: int = 0
    users_not_in_table: int = 0
    users_without: int = 0
    """Users of their table who have no interaction: left out."""
    repeated_ids: int = 0
    """Lines of the tables of items and users whose id was there before: left out."""
    first: int | None = None
    """Seconds since 1970 of the first and the last interaction; None without times."""
    last: int | None = None

    def left_out(self) -> list[str]:
        """A sentence for each reason why rows were left out."""
        dropped = self.duplicates if self.duplicates_said in ("first", "last") else 0
        reasons = (
            (self.empty, "rows have no user or no item"),
            (self.other_events, "rows are other events"),
            (self.low_ratings, "rows are below the lowest rating"),
            (dropped, f"rows repeat user, item and time of another; the {self.duplicates_said} is kept"),
            (
                self.rows_of_few,
                f"rows are of {self.users_of_few:,} users and {self.items_of_few:,} items with too few interactions",
            ),
            (self.users_without, "users of their table have no interaction"),
            (self.repeated_ids, "lines of the tables of items and users repeat an id; the first is kept"),
        )
        return [f"{count:,} {reason}" for count, reason in reasons if count]

    def notes(self) -> list[str]:
        """A sentence for each thing to know of what is kept."""
        kept = self.duplicates if self.duplicates_said in (None, "keep") else 0
        notes = (
            (kept, "rows repeat user, item and time of another; they are kept"),
            (self.tied, "interactions have the same second as another of their user; the order of the file decides"),
            (self.short_users, f"users have fewer than {LEAST} interactions; they are trained on and not evaluated"),
            (self.items_not_in_table, "items are not in the table of items"),
            (self.users_not_in_table, "users are not in the table of users"),
        )
        said = [f"{count:,} {note}" for count, note in notes if count]
        if self.last is not None and 0 < self.last < _JANUARY_1970:
            said.append("all times are in January 1970: either they only keep an order, or their unit is another")
        return said

    def note_times(self, users: NDArray[Any], times: NDArray[np.int64]) -> None:
        """Count ties, and note the first and the last, of rows (n,) in the order of users and times in seconds."""
        same = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
        self.tied += int(np.count_nonzero(np.append(same, False) | np.append(False, same)))
        first, last = int(times.min()), int(times.max())
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)

    def span(self) -> str:
        """From which day to which; empty without times."""
        return "" if self.first is None or self.last is None else f"{day_of(self.first)} to {day_of(self.last)}"


def day_of(seconds: float) -> str:
    """A time as a date for people; where there is none, beyond the year 9999, the year alone."""
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return f"the year {1970 + seconds / 31_556_952:,.0f}"
