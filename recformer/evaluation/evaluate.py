"""Evaluate models under one protocol, taking from the rank store what is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from recformer.checkpoint.info import SOLVED, CheckpointInfo
from recformer.checkpoint.load import read_info
from recformer.config import Options, describe_limits, override, parse
from recformer.data.dataset import Dataset
from recformer.data.histories import Cases
from recformer.data.prepared import Prepared, prepare
from recformer.data.split.base import Part
from recformer.data.user_sample import UserSample
from recformer.errors import NotNumbersError, RecformerError, StoreError, UsageError
from recformer.evaluation.baselines import chosen_on, rank_baseline
from recformer.evaluation.cases import Known, facts_of, known_cases
from recformer.evaluation.dataset_check import check_fit, knows_its_data
from recformer.evaluation.lists.kept import check_made_for, read_kept, read_record
from recformer.evaluation.lists.ranks import rank_lists
from recformer.evaluation.protocol import protocol_of
from recformer.evaluation.provenance import splits_of, trainings_of
from recformer.evaluation.ranks import RECENT, Progress, Ranks
from recformer.evaluation.shuffle_test import ShuffleTest, ndcg, shuffled
from recformer.evaluation.split_facts import split_facts
from recformer.evaluation.store import StoreKey, store_key_of, store_ranks, stored_ranks
from recformer.evaluation.table import Evaluation, Settings
from recformer.registry import SPLITS
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root

if TYPE_CHECKING:
    import torch

_whole: Any = lru_cache(maxsize=4)(prepare)  # frozen options have a hash, which pyright does not see


@lru_cache(maxsize=4)
def _sampled(prepared: Prepared, sample: UserSample) -> Prepared:
    return replace(prepared, sample=sample)


def _prepared(task: "Task") -> Prepared:
    """The same object for the same task, so that what is counted of it is counted once."""
    prepared: Prepared = _whole(task.dataset, task.split)
    return prepared if task.sample is None else _sampled(prepared, task.sample)


@dataclass(frozen=True)
class Task:
    """What to evaluate on: dataset, split and part."""

    dataset: Dataset
    split: Options
    part: Part = "validation"
    """What one develops on; the test is a last step that somebody asks for."""
    recent: int = RECENT
    """Latest tokens of a history that count as its window, for masking and for duplication."""
    sample: UserSample | None = None
    """Whose cases are evaluated; None: everybody's."""


def split_of(name: str, time_ties: str = "file", changes: Sequence[str] = ()) -> Options:
    """The split called `name` with ties in time broken so, and options changed ("split_seed=3").

    Raises UsageError naming what the split allows, ConfigError with every fault of a change.
    """
    options = SPLITS.get(name).Options
    try:
        split = options(name=name) if time_ties == "file" else options(name=name, time_ties=time_ties)
    except ValidationError:
        allowed = describe_limits(options.model_fields["time_ties"]) if "time_ties" in options.model_fields else "file"
        raise UsageError(f"ties in time by {time_ties!r} cannot be under {name}; allowed there: {allowed}") from None
    if not changes:
        return split
    there = [field for field in options.model_fields if field != "name"]
    for key in (change.partition("=")[0] for change in changes):
        if key not in there:
            raise UsageError(f"the split {name} has no option {key!r}; it has {', '.join(there)}")
    changed = override({"split": split.model_dump()}, [f"split.{change}" for change in changes])
    return parse(changed, f"split {name}").split


@dataclass(frozen=True, eq=False)
class Pending:
    """An evaluation that is laid down in everything but its ranks, which are stored or have to be computed."""

    empty: Evaluation
    """The evaluation without ranks."""
    store_key: StoreKey | None
    rank: "Callable[[torch.device | None, Progress | None], tuple[Ranks, Settings]]"

    @property
    def key(self) -> str:
        """Equal for the same state of the same model under the same protocol."""
        key = self.store_key
        place = f"{key.folder}/{key.name} {key.digest}" if key else str(self.empty.model)
        return f"{place} {self.empty.protocol.key}"

    def stored(self) -> Evaluation | None:
        """The evaluation from the rank store; None where it has to be computed."""
        found = None if self.store_key is None else stored_ranks(self.store_key, self.empty.protocol)
        return None if found is None else replace(self.empty, seeds=(found[0],), settings=found[1])

    def computed(self, device: "torch.device | None" = None, progress: Progress | None = None) -> Evaluation:
        """The evaluation computed and kept in the rank store, which takes seconds to minutes."""
        ranks, settings = self.rank(device, progress)
        not_kept = ""
        if self.store_key is not None:
            try:
                store_ranks(self.store_key, self.empty.protocol, ranks, self.empty.known, settings)
            except StoreError as error:  # a disk that refuses takes nothing from what is computed
                not_kept = str(error)
        return replace(self.empty, seeds=(ranks,), settings=settings, not_kept=not_kept)


def evaluate(
    root: Root,
    model: ModelRef,
    task: Task,
    device: "torch.device | None" = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Ranks of a model on every case, computed once and then read from the rank store.

    Raises CheckpointError, DataError when the model does not fit the dataset, EvaluationError for scores that are
    not numbers.
    """
    wanted = pending(root, model, task)
    return wanted.stored() or wanted.computed(device, progress)


def pending(root: Root, model: ModelRef, task: Task) -> Pending:
    """What evaluating a model means, without computing anything. Raises as `evaluate` does."""
    store_key = store_key_of(root, model)
    if model.is_lists:
        return _pending_lists(model, store_key, task)
    info = None if model.is_baseline else read_info(model.path)
    if info is not None:
        check_fit(root, info, task.dataset, model)
    prepared = _prepared(task)
    cases = prepared.cases(task.part)

    def rank(device: "torch.device | None", progress: Progress | None) -> tuple[Ranks, Settings]:
        if info is None:
            return rank_baseline(model.name, prepared, cases, progress, task.recent)
        return _rank_checkpoint(model, info, prepared, cases, task.recent, device, progress), {}

    if info is None:
        known = Known(0, chosen_on(model.name, prepared, task.part))
    else:
        known = known_cases_of(root, model, info, task.dataset, prepared, task.part)
    empty = replace(
        _empty(model, task, prepared),
        known=known,
        commit="" if info is None else info.commit,
        data_known=info is None or knows_its_data(root, info, model),
        solved=info is not None and info.engine == SOLVED,
    )
    return Pending(empty, store_key, rank)


def _pending_lists(model: ModelRef, store_key: StoreKey | None, task: Task) -> Pending:
    """Of lists that were made elsewhere. What they saw is the word of who imported them: they are taken at it."""
    prepared = _prepared(task)
    empty = _empty(model, task, prepared)
    check_made_for(read_record(model.path), empty.protocol, model.run)

    def rank(_: object, progress: Progress | None) -> tuple[Ranks, Settings]:
        lists = read_kept(model.path, task.dataset.num_users, task.dataset.num_items)
        return rank_lists(lists, prepared.histories, prepared.cases(task.part), task.recent, progress), {}

    return Pending(empty, store_key, rank)


def _empty(model: ModelRef, task: Task, prepared: Prepared) -> Evaluation:
    """An evaluation without ranks, of a model that has seen nothing."""
    return Evaluation(
        model=model,
        protocol=protocol_of(prepared, task.split, task.part, task.recent),
        seeds=(),
        facts=facts_of(prepared, task.part),
        known=Known(0, None),
        split_facts=split_facts(prepared, task.part),
    )


def shuffle_test(root: Root, model: ModelRef, task: Task, device: "torch.device | None" = None) -> ShuffleTest:
    """What a model loses when the items that it reads are put into a random order; what it was trained on stays.

    A baseline is counted from shuffled histories too. Raises as `evaluate` does.
    """
    if model.is_lists:
        raise UsageError(
            f"{model} has lists that were made elsewhere: there is no model to ask about shuffled histories"
        )
    ordered = evaluate(root, model, task, device).ranks
    prepared = _prepared(task)
    cases = prepared.cases(task.part)
    if model.is_baseline:
        mixed, _ = rank_baseline(model.name, shuffled(prepared), cases)
    else:
        info = read_info(model.path)
        read = shuffled(prepared, [task.part], info.shape.window)
        mixed = _rank_checkpoint(model, info, read, cases, task.recent, device, None)
    return ShuffleTest(ndcg(ordered), ndcg(mixed))


def pending_all(root: Root, models: Sequence[ModelRef], task: Task) -> dict[ModelRef, Pending | RecformerError]:
    """What evaluating each of the models means, or why it cannot be done."""
    return {model: _try(root, model, task) for model in models}


def _try(root: Root, model: ModelRef, task: Task) -> Pending | RecformerError:
    try:
        return pending(root, model, task)
    except RecformerError as error:
        return error


def _rank_checkpoint(
    model: ModelRef,
    info: CheckpointInfo,
    prepared: Prepared,
    cases: Cases,
    recent: int,
    device: "torch.device | None",
    progress: Progress | None,
) -> Ranks:
    from recformer.checkpoint.load import load
    from recformer.evaluation.ranker import rank_cases  # loads torch: what is stored is read without
    from recformer.model.device import resolve

    network, _ = load(model.path, info)
    place = device or resolve("auto")
    try:
        return rank_cases(network.to(place), prepared, cases, info.shape.window, place, progress, recent)
    except NotNumbersError:
        raise NotNumbersError(str(model)) from None


def known_cases_of(
    root: Root, model: ModelRef, info: CheckpointInfo, dataset: Dataset, prepared: Prepared, part: Part
) -> Known:
    """How many of the cases the model, or what its weights began with, was trained on, and validated on.

    `prepared` is of that dataset.
    """
    trainings = trainings_of(root, model, info)
    splits = None if trainings is None else splits_of(trainings, dataset.fingerprint)
    if splits is None:
        return Known(None, None)
    return known_cases(prepared, part, tuple(_whole(dataset, *split) for split in splits))
