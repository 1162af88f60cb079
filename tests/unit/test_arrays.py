"""Work on arrays in pieces gives what work on the whole gives, and leaves little of a mapped array in memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.data import arrays
from recformer.data.prepared import prepare
from recformer.data.ties import tied, tied_at
from recformer.evaluation.evaluate import split_of
from recformer.evaluation.split_facts import split_facts
from tests.builders import dataset_of

lengths = st.lists(st.integers(0, 6), min_size=1, max_size=8)


@given(lengths, st.integers(1, 7), st.integers(0, 9))
def test_pieces_of_whole_users_cover_all_entries_once_and_are_about_as_large_as_asked_for(
    lengths: list[int], size: int, first: int
) -> None:
    offsets = first + np.concatenate([[0], np.cumsum(lengths)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "PIECE", size)
        found = list(arrays.whole_users(offsets))
    assert [entry for begin, end in found for entry in range(offsets[begin], offsets[end])] == list(
        range(first, first + sum(lengths))
    )
    assert all(offsets[end] - offsets[begin] < size + max(lengths) for begin, end in found)


@given(st.sets(st.integers(0, 40)))
def test_what_is_taken_of_a_mapped_array_is_what_indexing_gives(
    tmp_path_factory: pytest.TempPathFactory, chosen: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    arrays.write_array(folder, "timestamps", np.arange(100, 141))
    places = np.array(sorted(chosen), dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "PIECE", 7)
        found = arrays.taken(arrays.map_array(folder, "timestamps"), places)
    assert found.tolist() == (places + 100).tolist()


@given(st.lists(st.lists(st.integers(0, 2), max_size=5).map(sorted), min_size=1, max_size=6).filter(any), st.data())
def test_ties_at_some_places_are_those_of_all(times: list[list[int]], data: st.DataObject) -> None:
    dataset = dataset_of([range(len(user)) for user in times], 5, [time for user in times for time in user])
    some = data.draw(st.sets(st.integers(0, dataset.num_interactions - 1)))
    places = np.array(sorted(some), dtype=np.int64)
    assert tied_at(dataset, places).tolist() == tied(dataset)[places].tolist()


def test_figures_of_a_split_do_not_depend_on_the_size_of_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(3)
    histories = [draw.integers(0, 9, size=n).tolist() for n in draw.integers(3, 12, size=20)]
    times = [time for user in histories for time in sorted(draw.integers(0, 9000, size=len(user)).tolist())]
    dataset = dataset_of(histories, 9, times)
    whole = prepare(dataset, split_of("leave_last_out"))
    facts, trained = split_facts(whole, "test"), whole.split.trained_by_user().tolist()
    monkeypatch.setattr(arrays, "PIECE", 7)
    pieces = prepare(dataset, split_of("leave_last_out"))
    assert (split_facts(pieces, "test"), pieces.split.trained_by_user().tolist()) == (facts, trained)
