"""Bring in recommendations that were made elsewhere, as a run of this project that is compared like any other."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recformer.config import Options
from recformer.data.dataset import Dataset, numbers_of
from recformer.data.histories import Cases
from recformer.data.prepared import Prepared, prepare
from recformer.data.rows import Column, Rows, pc
from recformer.data.split.base import Part
from recformer.data.table import shown
from recformer.data.values import filled_texts, finite_numbers
from recformer.errors import DataError, UsageError
from recformer.evaluation.lists.kept import MOST_PLACES, UNKNOWN_ITEM, KeptLists, ListsRecord, write_lists
from recformer.evaluation.lists.ranks import rank_lists
from recformer.evaluation.lists.read import Columns, read_lists
from recformer.evaluation.lists.report import ImportReport
from recformer.evaluation.protocol import protocol_of
from recformer.evaluation.ranks import MASKINGS, MAX_K, RECENT, Ranks
from recformer.run.labels import give_colour
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
from recformer.run.record import RunRecord, run_dataset, write_record

PIECE = 1 << 20
"""Rows that are sorted at once, or those of one user."""
_REMEDY = "Mend the line, or leave it out"


@dataclass(frozen=True)
class Asked:
    """What is known of a file of lists before it is read."""

    split: Options
    part: Part
    user: str | None = None
    """Columns; None to guess them."""
    item: str | None = None
    rank: str | None = None
    score: str | None = None
    k: int | None = None
    """How long the lists were made; see ListsRecord."""


def import_lists(root: Root, path: Path, run_id: str, dataset: Dataset, asked: Asked) -> ImportReport:
    """Keep the lists in a file as run `run_id`, checked against the cases of a part of the dataset's split.

    All or nothing is imported. Raises UsageError when the run exists or for a k that cannot be, DataError for the first
    fault of the file.
    """
    if root.run(run_id).exists() or root.model(run_id).exists():
        raise UsageError(f"run {run_id!r} exists already", cli="Choose another --name", page="Choose another name")
    if asked.k is not None and not 1 <= asked.k <= MOST_PLACES:
        raise UsageError(f"k = {asked.k} is not allowed: lists have 1 to {MOST_PLACES} places")
    if asked.rank and asked.score:
        raise UsageError("name the column of ranks or that of scores, not both")
    columns, batches = read_lists(path, asked.user, asked.item, asked.rank, asked.score)
    prepared = prepare(dataset, asked.split)
    lists, counts = _kept(path, columns, batches, prepared, asked)
    cases = prepared.cases(asked.part)
    ranks = rank_lists(lists, prepared.histories, cases, RECENT)
    report = _report(columns, counts, lists, cases, ranks)
    try:
        dataset_record = run_dataset(root, dataset)
        config = {"name": run_id, "lists": path.name}
        write_record(root, run_id, RunRecord(config=config, dataset=dataset_record, commit=""))
        give_colour(root, run_id)
        write_lists(ModelRef.of_run(root, run_id, "lists").path, lists)
    except BaseException:
        shutil.rmtree(root.run(run_id), ignore_errors=True)
        shutil.rmtree(root.model(run_id), ignore_errors=True)
        raise
    return report


@dataclass(frozen=True)
class _Counts:
    """What was found besides the lists."""

    rows: int
    lists_of_other_users: int
    unknown_users: int
    unknown_items: int
    duplicates: int
    ties: int


@dataclass(frozen=True, eq=False)
class _Places:
    """Places of lists, in any order."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    order: NDArray[np.float64]
    """The lowest first."""
    wanted: NDArray[np.bool_]
    """Whether they have what is looked for: of equal scores it comes last, so that a tie counts against it."""

    def __getitem__(self, rows: NDArray[Any]) -> "_Places":
        return _Places(*(values[rows] for values in vars(self).values()))


class _Reader:
    """Takes batches of rows, and keeps those of the users of the part."""

    def __init__(self, prepared: Prepared, cases: Cases, columns: Columns) -> None:
        dataset, self._columns, self._num_tokens = prepared.dataset, columns, prepared.histories.num_tokens
        self._users, self._items = _as_texts(dataset.user_ids), _as_texts(dataset.item_ids)
        self._asked = np.zeros(dataset.num_users, dtype=np.bool_)
        self._asked[cases.users] = True
        owners = np.repeat(cases.users.astype(np.int64), cases.target_counts)
        self._targets = owners * self._num_tokens + prepared.histories.tokens[cases.target_places]
        self._others = np.zeros(dataset.num_users, dtype=np.bool_)
        self._unknown: list[NDArray[np.uint64]] = []
        self._places: list[_Places] = []
        self.rows = 0

    def take(self, rows: Rows) -> None:
        """Raises DataError for the first user or item that is empty, and the first order that is no number."""
        columns = self._columns
        users = filled_texts(rows, columns.user, _REMEDY)
        items = filled_texts(rows, columns.item, _REMEDY)
        order = finite_numbers(rows, columns.order, _REMEDY)
        self.rows += len(rows)
        tokens = _tokens(users, self._users)
        strangers = pc.unique(users.filter(pa.array(tokens < 0))).to_pylist()
        self._unknown.append(numbers_of(pd.Index(strangers, dtype="str")))
        known = np.flatnonzero(tokens >= 0)
        inside = self._asked[tokens[known]]
        self._others[tokens[known[~inside]]] = True
        kept = known[inside]
        owners, listed = tokens[kept], _tokens(items.take(pa.array(kept)), self._items)
        codes = owners.astype(np.int64) * self._num_tokens + listed
        wanted = np.isin(codes, self._targets) & (listed != UNKNOWN_ITEM)
        self._places.append(_Places(owners, listed, order[kept] if columns.by == "rank" else -order[kept], wanted))

    def places(self) -> _Places:
        """All that were kept; the reader has none of them any more."""
        parts, self._places = self._places, []
        names = ("users", "items", "order", "wanted")
        return _Places(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def others(self) -> int:
        """Users of the dataset who are not in the part."""
        return int(self._others.sum())

    @property
    def unknown(self) -> int:
        """Users whom the dataset does not have."""
        return len(np.unique(np.concatenate(self._unknown)))


def _as_texts(ids: pd.Index) -> Column:
    return pa.array(ids.astype(str).to_numpy(object), pa.string())


def _tokens(texts: Column, ids: Column) -> NDArray[np.int32]:
    """(n,) the token of each id; UNKNOWN_ITEM, -1, for one that is not there."""
    return pc.index_in(texts, value_set=ids).fill_null(UNKNOWN_ITEM).to_numpy(zero_copy_only=False)


def _kept(
    path: Path, columns: Columns, batches: Iterable[Rows], prepared: Prepared, asked: Asked
) -> tuple[KeptLists, _Counts]:
    """The lists of the part's users. Raises DataError where there is none."""
    reader = _Reader(prepared, prepared.cases(asked.part), columns)
    for rows in batches:
        reader.take(rows)
    if not reader.rows or not len((places := reader.places()).users):
        raise DataError(_nobody(path, reader, prepared.dataset, asked))
    lists = [_in_order(places[rows]) for rows in _pieces(places.users)]
    users, items = (np.concatenate([getattr(one, name) for one in lists]) for name in ("users", "items"))
    owners, starts = np.unique(users, return_index=True)
    counts = _Counts(
        rows=reader.rows,
        lists_of_other_users=reader.others,
        unknown_users=reader.unknown,
        **{name: sum(getattr(one, name) for one in lists) for name in ("unknown_items", "duplicates", "ties")},
    )
    return KeptLists(owners, np.append(starts, len(users)), items, _record(prepared, asked)), counts


def _pieces(users: NDArray[np.int32]) -> Iterator[NDArray[np.int64]]:
    """Rows (p,) of some users at a time, each with all of theirs: sorting everything at once would take twice the
    memory."""
    rows = np.argsort(users, kind="stable")
    firsts = np.append(np.flatnonzero(np.diff(users[rows], prepend=-1)), len(users))
    begin = 0
    while begin < len(users):
        end = int(firsts[min(np.searchsorted(firsts, begin + PIECE), len(firsts) - 1)])
        yield rows[begin:end]
        begin = end


@dataclass(frozen=True, eq=False)
class _Lists:
    """Places of whole lists, list after list, and what was found in them."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    unknown_items: int
    duplicates: int
    ties: int


def _in_order(places: _Places) -> _Lists:
    places = places[np.lexsort((places.wanted, places.order, places.users))]
    again = _are_again(places)
    places = places[~again]
    users, order = places.users, places.order
    firsts = np.flatnonzero(np.diff(users, prepend=-1))
    lengths = np.diff(firsts, append=len(users))
    kept = np.arange(len(users)) - np.repeat(firsts, lengths) < MOST_PLACES
    return _Lists(
        users=users[kept],
        items=places.items[kept],
        unknown_items=int((places.items == UNKNOWN_ITEM).sum()),
        duplicates=int(again.sum()),
        ties=int(((users[1:] == users[:-1]) & (order[1:] == order[:-1])).sum()),
    )


def _are_again(places: _Places) -> NDArray[np.bool_]:
    """(n,) which places have an item that is further up in the same list; what the dataset does not have is never."""
    again = np.ones(len(places.users), dtype=np.bool_)
    again[np.unique(places.users.astype(np.int64) << 32 | places.items, return_index=True)[1]] = False
    return again & (places.items != UNKNOWN_ITEM)


def _nobody(path: Path, reader: _Reader, dataset: Dataset, asked: Asked) -> str:
    """That there is no list for anybody who is asked about, and why."""
    ids = dataset.user_ids
    found = f"{reader.unknown:,} users whom {dataset.name} does not have"
    if reader.others:
        found += f", and {reader.others:,} who are not in its {asked.part} part"
    return (
        f"{path} has no list for any user of the {asked.part} part of {dataset.name}: it has {found}. Its user ids are "
        f"written like {shown(str(ids[0]))} and {shown(str(ids[-1]))}: export the lists with the ids of the dataset"
    )


def _record(prepared: Prepared, asked: Asked) -> ListsRecord:
    protocol = protocol_of(prepared, asked.split, asked.part, RECENT)
    return ListsRecord(
        dataset=protocol.dataset,
        fingerprint=protocol.fingerprint,
        split=protocol.split,
        time_ties=protocol.time_ties,
        part=protocol.part,
        k=asked.k,
    )


def _report(columns: Columns, counts: _Counts, lists: KeptLists, cases: Cases, ranks: Ranks) -> ImportReport:
    users, lengths = len(np.unique(cases.users)), lists.lengths
    full = lists.record.k or min(int(lengths.max()), MAX_K)
    places = ranks.top_none[:, :MAX_K]
    return ImportReport(
        columns=columns,
        users=users,
        lists=len(lists.users),
        users_without_a_list=users - len(lists.users),
        shortest=int(lengths.min()),
        longest=int(lengths.max()),
        full=full,
        shorter=int((lengths < full).sum()),
        seen=int(ranks.history_repeats_none[:, -1].sum(dtype=np.int64)),
        places=int((places >= 0).sum()),
        known_to={masking: ranks.known_to(masking) for masking in MASKINGS},
        **vars(counts),
    )
