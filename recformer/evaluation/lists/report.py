"""What importing a file of lists found, in numbers and in words."""

from dataclasses import dataclass

from recformer.data.table import shown
from recformer.errors import count
from recformer.evaluation.lists.read import Columns
from recformer.evaluation.ranks import Masking


@dataclass(frozen=True)
class ImportReport:
    """What was found in a file of lists, in numbers. Of users of the part alone, but where it says otherwise."""

    columns: Columns
    rows: int
    """Of the file."""
    users: int
    """Of the part."""
    lists: int
    users_without_a_list: int
    lists_of_other_users: int
    """Of users whom the dataset has and the part does not."""
    unknown_users: int
    """Users of the file whom the dataset does not have."""
    unknown_items: int
    """Places with an item that the dataset does not have; they stay taken."""
    duplicates: int
    """Places with an item that is further up in the same list already; they are taken out."""
    ties: int
    """Places with the score or rank of the place before; a held-out item among them comes last."""
    shortest: int
    longest: int
    full: int
    """How long a list is expected to be: as was said, else the longest, at most 20."""
    shorter: int
    """Lists with fewer places than that."""
    seen: int
    """Places among the first 20 with an item that the user had before."""
    places: int
    """All places among the first 20."""
    known_to: dict[Masking, int]
    """The largest cutoff for which all lists are known."""

    def sentences(self, nouns: str) -> list[str]:
        """The report in words; `nouns` is what the dataset calls its items."""
        columns = self.columns
        found = [
            f"{count(self.rows, 'row')}: user in {shown(columns.user)}, item in {shown(columns.item)}, in the order of "
            f"{columns.by} in {shown(columns.order)}.",
            f"{self.lists:,} of {count(self.users, 'user')} of the part have a list"
            + (f"; {self.users_without_a_list:,} have none and count as misses." if self.users_without_a_list else "."),
        ]
        left_out = [
            (self.lists_of_other_users, "users of the dataset who are not in this part"),
            (self.unknown_users, "users whom the dataset does not have"),
        ]
        found += [f"Left out: lists of {number:,} {whom}." for number, whom in left_out if number]
        facts = [
            (self.unknown_items, f"with {nouns} that the dataset does not have: they stay taken, as misses"),
            (self.duplicates, f"with {nouns} that are further up in the same list: taken out"),
            (self.ties, f"with the same {columns.by} as the place before: a held-out one among them comes last"),
        ]
        found += [f"{count(number, 'place')} {what}." for number, what in facts if number]
        found.append(_lengths(self))
        found.append(_masking(self, nouns))
        found.append(_cutoffs(self.known_to))
        return found


def _lengths(report: ImportReport) -> str:
    if report.shortest == report.longest:
        return f"Each list has {count(report.longest, 'place')}."
    shorter = f"{report.shorter:,} of them are shorter than {report.full:,}"
    return f"Lists have {report.shortest:,} to {report.longest:,} places; {shorter}."


def _masking(report: ImportReport, nouns: str) -> str:
    if not report.seen:
        return f"No list has {nouns} that its user had before: they were taken out (masking: history)."
    share = 100 * report.seen / report.places
    had = f"{nouns} that the user had before"
    return f"{report.seen:,} of the first places ({share:.1f}%) have {had}: seen ones were left in."


def _cutoffs(known_to: dict[Masking, int]) -> str:
    if len(set(known_to.values())) == 1:
        words = f"{known_to['none']}"
    else:
        words = ", ".join(f"{k} with masking {masking}" for masking, k in known_to.items())
    return f"Metrics go up to k = {words}: ranks beyond are unknown."
