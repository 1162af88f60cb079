"""Laws of the readers: one dataset behind four formats, and no fault that goes unnoticed."""

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.data.assemble import read_dataset
from recformer.errors import DataError
from tests.builders import FORMATS, Interaction, ratings_file, write_format
from tests.effort import examples

SEPARATORS = {"movielens_dat": "::", "movielens_100k": "\t", "recbole": "\t", "movielens_csv": ","}
# Times are few, so that ties within a user are frequent.
interactions = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.integers(1, 3000),
        st.sampled_from([0.5, 1, 2, 3, 4, 5]),
        st.integers(874724710, 874724716),
    ),
    min_size=1,
    max_size=30,
)
formats = st.sampled_from(FORMATS)
lawful = settings(max_examples=examples(60))


def by_definition(rows: list[Interaction]) -> dict[int, list[int]]:
    """Item ids of each user in the order of time, ties in the order of the file: the plain way."""
    histories: dict[int, list[int]] = {}
    for user, item, _, _ in sorted(rows, key=lambda row: (row[0], row[3])):
        histories.setdefault(user, []).append(item)
    return histories


def histories_of(folder: Path) -> dict[int, list[int]]:
    dataset = read_dataset(folder)
    return {int(user): dataset.item_ids[dataset.history(token)].tolist() for token, user in enumerate(dataset.user_ids)}


@lawful
@given(interactions)
def test_every_format_gives_one_fingerprint_and_the_sequences_by_definition(rows: list[Interaction]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folders = [write_format(name, Path(temporary) / name, rows) for name in FORMATS]
        assert len({read_dataset(folder).fingerprint for folder in folders}) == 1
        for folder in folders:
            assert histories_of(folder) == by_definition(rows)


@lawful
@given(interactions, formats, st.randoms(use_true_random=False))
def test_the_order_of_users_in_the_file_does_not_matter(
    rows: list[Interaction], name: str, chance: random.Random
) -> None:
    """Lines of different users are interleaved anew; those of one user keep their order."""
    users = [user for user, *_ in rows]
    chance.shuffle(users)
    queues = {user: iter([row for row in rows if row[0] == user]) for user in users}
    shuffled = [next(queues[user]) for user in users]
    with tempfile.TemporaryDirectory() as temporary:
        first = write_format(name, Path(temporary) / "first", rows)
        second = write_format(name, Path(temporary) / "second", shuffled)
        assert read_dataset(first).fingerprint == read_dataset(second).fingerprint


@lawful
@given(interactions, formats)
def test_offsets_bound_every_interaction_once(rows: list[Interaction], name: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        dataset = read_dataset(write_format(name, Path(temporary) / "small", rows))
    assert dataset.offsets[0] == 0
    assert dataset.offsets[-1] == dataset.num_interactions == len(rows)
    assert (np.diff(dataset.offsets) >= 0).all()
    assert ((dataset.items >= 0) & (dataset.items < dataset.num_items)).all()


WRONG_VALUES = ["", " ", "abc", "1 2", '"1"', "0x1", "--1", "-1", "1_0", "nan", "inf", "1e400", "\x00", "9" * 30]
FINE_RECBOLE_RATINGS = {"-1", "9" * 30}


@settings(max_examples=examples(200))
@given(interactions, formats, st.data())
def test_one_corrupted_line_is_named(rows: list[Interaction], name: str, data: st.DataObject) -> None:
    separator = SEPARATORS[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_format(name, Path(temporary) / "small", rows)
        path = ratings_file(folder)
        lines = path.read_bytes().decode().removesuffix("\n").split("\n")
        first = len(lines) - len(rows)
        line = data.draw(st.integers(first, len(lines) - 1), label="line")
        lines[line] = corrupted(lines[line].split(separator), separator, data, name)
        path.write_bytes(("\n".join(lines) + "\n").encode())
        with pytest.raises(DataError) as caught:
            read_dataset(folder)
        # A file whose only line was blanked has no line to name.
    expected = f"{path}, line {line + 1}: " if any(map(str.strip, lines)) else f"{path} is empty"
    assert str(caught.value).startswith(expected)


def corrupted(fields: list[str], separator: str, data: st.DataObject, name: str) -> str:
    """One line made wrong: a field lost, added or changed, an unknown movie, or the whole line gone."""
    kind = data.draw(st.sampled_from(["lost", "added", "changed", "unknown", "blank"]), label="kind")
    place = data.draw(st.integers(0, 3), label="place")
    if kind == "lost":
        return separator.join(fields[:place] + fields[place + 1 :])
    if kind == "added":
        return separator.join([*fields[:place], "7", *fields[place:]])
    if kind == "blank":
        return " "  # lines with nothing at all in them may end a file
    if kind == "unknown":
        fields[1] = "3001"
    else:
        # RecBole's sets have ratings on scales of their own: any finite number is one there.
        fine = FINE_RECBOLE_RATINGS if name == "recbole" and place == 2 else set[str]()
        fields[place] = data.draw(
            st.sampled_from([value for value in WRONG_VALUES if value not in fine]), label="value"
        )
    return separator.join(fields)
