"""What losses are told was seen: the same sets as read off the histories one by one."""

from typing import get_args

import numpy as np
import pytest
import torch

from recformer.data.histories import histories_of
from recformer.data.prepared import prepare
from recformer.loss.seen import Seen, Sequences, Span
from recformer.training.window_batches import WindowBatches
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


@pytest.mark.parametrize("size", [2, 4, 20])
def test_every_case_of_a_dataset_has_the_items_before_its_target_and_nobody_elses(size: int) -> None:
    """Also where the window is longer than the history, and SOS fills it."""
    items = [[2, 0, 3, 1, 2], [4], [1, 1, 1, 0, 4, 3]]
    histories = histories_of(dataset_of(items, num_items=5))
    cases = histories.all_cases()
    users, ends = torch.from_numpy(cases.users).long(), torch.from_numpy(cases.ends)
    inputs = torch.from_numpy(histories.inputs(cases, size)).long()
    seen = Seen(Sequences.of(histories, torch.device("cpu")), inputs, users, ends)
    before = [
        items[user][: int(end - histories.user_starts[user]) - 1]
        for user, end in zip(users.tolist(), ends.tolist(), strict=True)
    ]
    assert marked(seen.marks("history")) == [set(own) for own in before]
    assert marked(seen.marks("window")) == [{token for token in row if token < 5} for row in inputs.tolist()]
    assert marked(seen.marks("window")) == [set(own[-size:]) for own in before]


@pytest.mark.parametrize(("short", "window"), [("skip", 5), ("pad", 5), ("pad", 25), ("skip", 25)])
def test_training_batches_say_what_was_seen_before_their_targets(tmp_path, short: str, window: int) -> None:
    dataset = dataset_in(tmp_path)
    config = small_config(batch_size=16, short_histories=short, window=window)
    prepared = prepare(dataset, config.split)
    histories = prepared.histories
    cases = 0
    for batch in WindowBatches(prepared, config, torch.device("cpu")).epoch(0, 0):
        seen, targets = batch.seen, batch.targets
        history = seen.marks("history")
        for case, (user, end) in enumerate(zip(seen.users.tolist(), seen.ends.tolist(), strict=True)):
            before = histories.tokens[histories.user_starts[user] : end]
            padded = np.concatenate([[histories.sos] * window, before])
            assert marked(history)[case] == set(before[before < histories.num_items].tolist())
            assert int(targets[case]) == histories.tokens[end]
            assert np.array_equal(seen.window[case].numpy(), padded[-window:])
        cases += len(targets)
    lengths = np.diff(dataset.offsets)
    assert cases == sum(max(n - 2 - (window - 1 if short == "skip" else 0), 0) for n in lengths.tolist())
