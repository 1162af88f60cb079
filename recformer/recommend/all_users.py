"""All users' lists by one model, in files for other programs: streamed, so that memory stays bounded."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.checkpoint.load import load
from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories, histories_of
from recformer.data.prepared import prepare
from recformer.data.report import LEAST
from recformer.errors import NotNumbersError, StoreError, UsageError
from recformer.evaluation.baselines import tuned
from recformer.evaluation.dataset_check import check_fit
from recformer.evaluation.ranker import BATCH, score
from recformer.evaluation.ranks import RECENT, Masking, Progress, batches
from recformer.evaluation.torch_ranks import first_tokens, seen_marks
from recformer.files.temporary_folder import temporary_folder
from recformer.model.device import resolve
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root

ENDINGS = (".parquet", ".csv")
LONGEST = 1000  # list: as many as a second model ranks anew
MOST_ROWS = 10_000_000  # of a file
ROWS_AT_ONCE = 500_000  # about 20 MB


@dataclass(frozen=True)
class ListOptions:
    """What lists are made of all users."""

    k: int
    """Length of each list, 1 to 1,000; a list is shorter where fewer items are left."""
    masking: Masking = "history"
    recent: int = RECENT
    """How many latest items are the window, for masking."""
    held_out: bool = False
    """Whether lists are those before each user's last item, which masking never hides, as `recommend --user` shows
    them; else everything that a user has is the history."""


@dataclass(frozen=True)
class WrittenLists:
    """What was written."""

    files: list[Path]
    """One, or several of at most MOST_ROWS rows in a folder."""
    users: int
    rows: int


def write_lists(
    root: Root, model: ModelRef, dataset: Dataset, options: ListOptions, out: Path, progress: Progress | None = None
) -> WrittenLists:
    """Write what a model recommends to each user: user_id, item_id (as they came), rank from 1, and score.

    A score is the model's probability over all items before masking; a baseline's is its own. Users are in the order
    of their ids. `out` ends in .parquet or .csv; it becomes a folder of numbered files where one would have more than
    MOST_ROWS rows. It is there when it is whole.

    Raises UsageError where `out` is there or has another ending, for a k that is not allowed, and where nothing is left
    to recommend; DataError for a model of other data, NotNumbersError, CheckpointError; StoreError when the disk
    refuses.
    """
    if not 1 <= options.k <= LONGEST:
        raise UsageError(f"k = {options.k} is not allowed: use a whole number from 1 to {LONGEST:,}")
    if out.suffix not in ENDINGS:
        raise UsageError(f"{out} ends in neither {' nor '.join(ENDINGS)}: name a file that does")
    if model.is_lists:
        raise UsageError(f"{model.run} has lists that were made elsewhere: there is no model that could list more")
    _refuse_existing(out)
    histories = histories_of(dataset)
    cases = _cases(histories, options.held_out)
    lists = _lists(_scores(root, model, dataset, histories, cases), histories, options, model)
    try:
        with temporary_folder(out.parent, "lists") as temporary:
            files, rows = _write(_tables(lists, dataset, len(cases), progress), temporary, out.suffix)
            if not files:
                raise UsageError(
                    f"masking {options.masking} leaves no {dataset.nouns.item} to recommend to anybody; mask less"
                )
            _refuse_existing(out)
            if len(files) == 1:
                files[0].rename(out)
            else:
                temporary.rename(out)
    except OSError as error:
        raise StoreError(
            f"could not write {out}: {error.strerror or error}. Check its folder and free space"
        ) from error
    return WrittenLists([out] if len(files) == 1 else [out / file.name for file in files], len(cases), rows)


def _refuse_existing(out: Path) -> None:
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already. Name a file that is not")


def _cases(histories: Histories, held_out: bool) -> Cases:
    """One case a user: before EOS, after everything they had; or before their last item, where they have enough."""
    starts, eos = histories.user_starts[:-1], histories.user_starts[1:] - 1
    users = np.arange(histories.num_users, dtype=np.int32)
    if not held_out:
        return Cases(users, eos)
    return Cases(users, eos - 1)[eos - starts - 1 >= LEAST]


def _scores(
    root: Root, model: ModelRef, dataset: Dataset, histories: Histories, cases: Cases
) -> Iterator[tuple[Cases, Tensor]]:
    """Batches of cases with a model's scores (B, I) float32 of all items.

    A baseline is counted, and its settings are chosen, from the training part of leave_last_out, as in Compare.
    """
    if model.is_baseline:
        baseline, settings = tuned(model.name, prepare(dataset, parse_section("split", "leave_last_out")))
        for batch in batches(cases, BATCH, histories.num_tokens):
            yield batch, torch.from_numpy(baseline.scores(batch, **settings))[:, : dataset.num_items]
        return
    network, info = load(model.path)
    check_fit(root, info, dataset, model)
    device = resolve("auto")
    for batch, _, logits in score(network.to(device), histories, cases, info.shape.window, device):
        yield batch, logits[:, : dataset.num_items].float()


@dataclass(frozen=True, eq=False)
class _Lists:
    """The lists of some users."""

    users: NDArray[np.int32]
    """(B,) user tokens."""
    items: NDArray[np.int64]
    """(B, k) item tokens, best first; −1 where a list is shorter."""
    scores: NDArray[np.float64]
    """(B, k)."""


def _lists(
    scored: Iterator[tuple[Cases, Tensor]], histories: Histories, options: ListOptions, model: ModelRef
) -> Iterator[_Lists]:
    """The first k items that are not masked, of equal scores the lower token first. Raises NotNumbersError."""
    for cases, scores in scored:
        if not bool(scores.isfinite().all()):
            raise NotNumbersError(str(model))
        hidden = seen_marks(histories, cases, options.recent, scores.device)[options.masking]  # (B, V)
        targets = torch.from_numpy(histories.targets(cases)).to(scores.device, torch.int64)[:, None]
        hidden = hidden.scatter(1, targets, False)[:, : histories.num_items]  # EOS, the target of a whole history, too
        items = first_tokens(scores.masked_fill(hidden, -torch.inf), hidden, min(options.k, histories.num_items))
        shown = scores.double() if model.is_baseline else scores.double().softmax(dim=1)
        yield _Lists(cases.users, items.cpu().numpy(), shown.gather(1, items.clamp(min=0)).cpu().numpy())


def _tables(parts: Iterator[_Lists], dataset: Dataset, total: int, progress: Progress | None) -> Iterator[Any]:
    """The lists as tables of pyarrow, each of about ROWS_AT_ONCE rows."""
    waiting: list[Any] = []
    done = 0
    for part in parts:
        there = part.items >= 0
        row, place = np.nonzero(there)
        columns = {
            "user_id": pa.array(dataset.user_ids[part.users[row]]),
            "item_id": pa.array(dataset.item_ids[part.items[there]]),
            "rank": pa.array((place + 1).astype(np.int32)),
            "score": pa.array(part.scores[there]),
        }
        waiting.append(pa.table(columns))
        done += len(part.users)
        if progress is not None:
            progress(done, total)
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _write(tables: Iterator[Any], folder: Path, ending: str) -> tuple[list[Path], int]:
    """Numbered files of at most MOST_ROWS rows, flushed to disk, and how many rows they have; none for no rows."""
    files: list[Path] = []
    rows = room = 0
    with ExitStack() as open_file:
        writer: Any = None
        for table in tables:
            os.utime(folder)  # in use, however long one file takes; see temporary_folder
            rows += len(table)
            while len(table):
                if not room:
                    open_file.close()
                    files.append(folder / f"{len(files) + 1:05}{ending}")
                    writer, room = _writer(open_file, files[-1], table.schema), MOST_ROWS
                some = table.slice(0, room)
                writer.write_table(some)
                table, room = table.slice(len(some)), room - len(some)
    return files, rows


def _writer(open_file: ExitStack, path: Path, schema: Any) -> Any:
    """What writes tables into a new file until the stack is closed."""
    file: IO[bytes] = open_file.enter_context(path.open("wb"))
    open_file.callback(_flush, file)  # after the writer has ended the file, before it is closed
    if path.suffix == ".parquet":
        return open_file.enter_context(parquet.ParquetWriter(file, schema))
    return open_file.enter_context(
        arrow_csv.CSVWriter(file, schema, write_options=arrow_csv.WriteOptions(quoting_header="none"))
    )


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
