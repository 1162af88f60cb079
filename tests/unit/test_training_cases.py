"""What of the training part a configuration trains on: full windows alone, or short histories too, padded."""

import numpy as np
import pytest
import torch

from recformer.config import parse_section, preset
from recformer.data.prepared import prepare
from recformer.errors import DataError
from recformer.training.window_batches import WindowBatches, training_cases
from tests.builders import dataset_of
from tests.training_helpers import small_config

LENGTHS = [12, 3, 2, 1, 7, 0]
DATASET = dataset_of([list(range(n)) for n in LENGTHS], 12)


@pytest.mark.parametrize("window", [1, 2, 5, 10])
def test_skipped_are_the_cases_that_do_not_fill_the_window_as_before_cases_had_none(window: int) -> None:
    """Of a judged user, what stood before the held-out two in windows of this size; SOS fills a place of the first."""
    prepared = prepare(DATASET, parse_section("split", "leave_last_out"))
    cases = training_cases(small_config(window=window), prepared)
    found = list(zip(cases.users.tolist(), prepared.histories.targets(cases).tolist(), strict=True))
    trained = [n - 2 if n >= 3 else n for n in LENGTHS]
    assert found == [(user, item) for user, n in enumerate(trained) for item in range(window - 1, n)]
    inputs = prepared.histories.inputs(cases, window)
    assert (np.count_nonzero(inputs == prepared.histories.sos, axis=1) <= 1).all()


@pytest.mark.parametrize("window", [1, 5, 10, 100])
def test_padded_are_all_cases_of_the_training_part(window: int) -> None:
    prepared = prepare(DATASET, parse_section("split", "leave_last_out"))
    config = small_config(window=window, short_histories="pad", batch_size=4)
    cases = training_cases(config, prepared)
    assert cases.ends.tolist() == prepared.split.train.ends.tolist()
    batches = WindowBatches(prepared, config, torch.device("cpu"))
    assert (batches.cases, batches.steps) == (len(cases), -(-len(cases) // 4))
    seen = [batch.seen for batch in batches.epoch(0, 0)]
    ends, windows = torch.cat([batch.ends for batch in seen]), torch.cat([batch.window for batch in seen])
    order = ends.argsort()
    assert ends[order].tolist() == cases.ends.tolist()
    assert windows[order].tolist() == prepared.histories.inputs(cases, window).tolist()


def test_where_every_window_is_full_both_ways_give_the_same_batches() -> None:
    prepared = prepare(DATASET, parse_section("split", {"name": "random_windows", "size": 2}))
    found = [
        list(WindowBatches(prepared, small_config(window=2, short_histories=way), torch.device("cpu")).epoch(1, 0))
        for way in ("skip", "pad")
    ]
    for one, other in zip(*found, strict=True):
        assert torch.equal(one.seen.window, other.seen.window) and torch.equal(one.seen.ends, other.seen.ends)
        assert torch.equal(one.targets, other.targets)


def test_a_window_that_nobody_fills_is_an_error_that_says_what_to_do() -> None:
    prepared = prepare(DATASET, parse_section("split", "leave_last_out"))
    with pytest.raises(DataError, match=r"history of 19 items or more.*window of 20.*short_histories=pad.*smaller"):
        training_cases(small_config(window=20), prepared)
    assert len(training_cases(small_config(window=20, short_histories="pad"), prepared)) == 19


def test_the_articles_presets_skip_and_the_fast_one_pads() -> None:
    assert preset("baseline").get("short_histories", "skip") == "skip"
    assert preset("fast")["short_histories"] == "pad"
