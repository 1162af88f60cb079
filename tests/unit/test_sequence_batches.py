"""Batches of whole histories: every trained position once an epoch, the same for the same seed, cut where too long."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.config import TrainConfig, parse, parse_section
from recformer.data.prepared import Prepared, prepare
from recformer.errors import DataError
from recformer.training.sequence_batches import SequenceBatch, SequenceBatches
from tests.builders import dataset_of
from tests.effort import examples

CPU = torch.device("cpu")
SPLITS = ["leave_last_out", "random_windows"]


def config_of(window: int, batch_size: int = 12, seed: int = 0) -> TrainConfig:
    return parse({"model": "sasrec", "window": window, "batch_size": batch_size, "seed": seed})


def prepared_of(lengths: list[int], split: str = "leave_last_out") -> Prepared:
    return prepare(dataset_of([list(range(n)) for n in lengths], 40), parse_section("split", split))


LENGTHS = [3, 40, 1, 0, 17, 2, 5, 9, 30]


@settings(max_examples=examples(40))
@given(
    window=st.sampled_from([1, 2, 5, 7, 50]),
    batch_size=st.integers(1, 200),
    split=st.sampled_from(SPLITS),
    seed=st.integers(0, 9),
)
def test_every_trained_position_is_trained_once_an_epoch_from_what_came_before(
    window: int, batch_size: int, split: str, seed: int
) -> None:
    prepared = prepared_of(LENGTHS, split)
    histories = prepared.histories
    batches = SequenceBatches(prepared, config_of(window, batch_size, seed), CPU)
    trained = np.flatnonzero(prepared.split.trained & (histories.tokens < histories.num_items))
    assert batches.cases == len(trained)
    for epoch in (0, 1):
        made = list(batches.epoch(epoch, 0))
        assert len(made) == batches.steps
        assert sorted(int(end) for batch in made for end in batch.ends) == trained.tolist()
        for batch in made:
            assert batch.tokens.shape[1] <= window
            check(batch, prepared)


def check(batch: SequenceBatch, prepared: Prepared) -> None:
    histories, length = prepared.histories, batch.tokens.shape[1]
    for position, end, start in zip(
        batch.positions.tolist(), batch.ends.tolist(), batch.user_starts.tolist(), strict=True
    ):
        row, place = divmod(position, length)
        read = batch.tokens[row, : place + 1].tolist()
        assert read == histories.tokens[end - len(read) : end].tolist()
        assert start == histories.user_starts[histories.users_at(np.array([end]))[0]] <= end - len(read)


def test_a_history_is_cut_from_its_end_into_pieces_that_leave_nothing_out() -> None:
    batches = SequenceBatches(prepared_of([20]), config_of(window=7, batch_size=100), CPU)
    (batch,) = batches.epoch(0, 0)
    assert sorted((batch.tokens != 40).sum(1).tolist()) == [3, 7, 7]  # SOS and 17 items; SOS is 40, as the filling
    assert batches.cases == 18


def test_an_epoch_is_a_function_of_seed_and_epoch_and_goes_on_from_any_step() -> None:
    def ends(seed: int, epoch: int, first: int = 0) -> list[list[int]]:
        batches = SequenceBatches(prepared_of(LENGTHS * 5), config_of(7, 30, seed), CPU)
        return [batch.ends.tolist() for batch in batches.epoch(epoch, first)]

    assert ends(1, 2) == ends(1, 2) != ends(2, 2) != ends(1, 3)
    assert ends(1, 2, 3) == ends(1, 2)[3:]


def test_batches_have_about_as_many_positions_as_asked() -> None:
    batches = SequenceBatches(prepared_of(list(range(3, 40)) * 8), config_of(20, 400), CPU)
    sizes = [batch.tokens.numel() for batch in batches.epoch(0, 0)]
    assert batches.steps > 8
    assert min(sizes) > 300 and max(sizes) < 800  # filling included


def test_nothing_to_train_on_is_an_error() -> None:
    prepared = prepared_of([3, 4])
    prepared.split.trained[:] = False
    with pytest.raises(DataError, match="no interaction of the training part is left"):
        SequenceBatches(prepared, config_of(5), CPU)
