"""What losses are told was seen: the same sets as read off the histories one by one."""

from typing import get_args

import numpy as np
import pytest
import torch
from recformer.data.windows import windows_of

from recformer.data.prepared import prepare
from recformer.loss.seen import Seen, Sequences, Span
from recformer.training.batches import EpochBatches
from tests.builders import dataset_in, dataset_of
from tests.seen import seen_from
from tests.training_helpers import small_config


def marked(marks: torch.Tensor) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in marks]


def test_the_window_and_the_history_are_marked_each_item_once() -> None:
    seen = seen_from([[1, 4, 2, 4], [3, 3]], 2, num_items=6)
    assert marked(seen.marks("window")) == [{2, 4}, {3}]
    assert marked(seen.marks("history")) == [{1, 2, 4}, {3}]
    assert seen.marks("window").shape == (2, 8)


@pytest.mark.parametrize("span", get_args(Span))
def test_sos_and_eos_are_not_marked(span: Span) -> None:
    assert marked(seen_from([[6, 1, 7, 2]], 4, num_items=6).marks(span)) == [{1, 2}]


@pytest.mark.parametrize("span", get_args(Span))
def test_a_target_is_not_among_the_repeats(span: Span) -> None:
    seen = seen_from([[5, 1, 2], [5, 1, 2]], 2, num_items=6)
    assert marked(seen.repeats(span, torch.tensor([2, 0]))) == [
        {1} if span == "window" else {1, 5},
        {1, 2} if span == "window" else {1, 2, 5},
    ]


def test_every_window_of_a_dataset_has_the_items_before_its_target_and_nobody_elses() -> None:
    histories = [[2, 0, 3, 1, 2], [4], [1, 1, 1, 0, 4, 3]]
    windows = windows_of(dataset_of(histories, num_items=5), 2)
    rows = torch.arange(len(windows))
    users, starts = torch.from_numpy(windows.users).long(), torch.from_numpy(windows.starts)
    inputs = torch.from_numpy(windows.inputs(rows.numpy())).long()
    seen = Seen(Sequences.of(windows, torch.device("cpu")), inputs, users, starts)
    expected = [
        set(histories[user][: int(start - windows.user_starts[user]) + 1])
        for user, start in zip(users.tolist(), starts.tolist(), strict=True)
    ]
    assert marked(seen.marks("history")) == expected
    assert marked(seen.marks("window")) == [{token for token in row if token < 5} for row in inputs.tolist()]


def test_training_batches_say_what_was_seen_before_their_targets(tmp_path) -> None:
    dataset = dataset_in(tmp_path)
    config = small_config(batch_size=16)
    prepared = prepare(dataset, config.window, config.split)
    windows = prepared.windows
    cases = 0
    for seen, targets in EpochBatches(prepared, config, torch.device("cpu")).epoch(0, 0):
        history = seen.marks("history")
        for case, (user, start) in enumerate(zip(seen.users.tolist(), seen.starts.tolist(), strict=True)):
            before = windows.tokens[windows.user_starts[user] : start + windows.size]
            assert marked(history)[case] == set(before[before < windows.num_items].tolist())
            assert int(targets[case]) == windows.tokens[start + windows.size]
            assert np.array_equal(seen.window[case].numpy(), before[-windows.size :])
        cases += len(targets)
    assert cases == len(prepared.split.train)
