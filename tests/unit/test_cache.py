"""The cache of parsed datasets: found by content, rebuilt when damaged, never in the way."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recformer.data import cache as cache_module
from recformer.data.assemble import read_dataset
from recformer.data.cache import UNUSED_S, load
from recformer.data.dataset import Dataset
from tests.builders import FORMATS, SMALL, SMALL_MOVIES, write_csv, write_format


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "small", SMALL, SMALL_MOVIES)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def assert_same(left: Dataset, right: Dataset) -> None:
    for name in ("offsets", "items", "timestamps", "ratings"):
        ours, theirs = getattr(left, name), getattr(right, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    pd.testing.assert_frame_equal(left.item_table, right.item_table)
    pd.testing.assert_frame_equal(left.user_table, right.user_table)
    assert (left.name, left.source, left.reader) == (right.name, right.source, right.reader)
    assert left.fingerprint == right.fingerprint


@pytest.mark.parametrize("name", FORMATS)
def test_what_comes_from_the_cache_equals_what_was_parsed(name: str, tmp_path: Path, cache: Path) -> None:
    folder = write_format(name, tmp_path / "small", SMALL, SMALL_MOVIES)
    load(folder, cache)
    assert_same(load(folder, cache), read_dataset(folder))


def test_the_second_load_parses_nothing(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder, cache)
    monkeypatch.setattr(cache_module, "assemble", lambda *_: pytest.fail("parsed again"))
    assert load(folder, cache).num_interactions == len(SMALL)


def test_an_edited_file_is_parsed_anew(folder: Path, cache: Path) -> None:
    before = load(folder, cache)
    with (folder / "ratings.csv").open("a") as ratings:
        ratings.write("3,10,4,978300900\n")
    after = load(folder, cache)
    assert after.num_interactions == len(SMALL) + 1
    assert after.fingerprint != before.fingerprint
    assert len(entries(cache)) == 2


def test_a_copied_folder_shares_the_entry_under_its_own_name(folder: Path, cache: Path, tmp_path: Path) -> None:
    load(folder, cache)
    copy = write_csv(tmp_path / "copy", SMALL, SMALL_MOVIES)
    dataset = load(copy, cache)
    assert (dataset.name, dataset.source) == ("copy", copy)
    assert len(entries(cache)) == 1


@pytest.mark.parametrize("name", ["items.bin", "items.parquet", "users.parquet", "dataset.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "garbage"])
def test_a_damaged_entry_is_rebuilt(name: str, damage: str, folder: Path, cache: Path) -> None:
    expected = load(folder, cache)
    path = entries(cache)[0] / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "garbage": b"\xff" * 400}[damage])
    assert_same(load(folder, cache), expected)
    assert path.read_bytes()[:4] == content[:4]


def test_a_flipped_bit_among_the_ratings_is_noticed(folder: Path, cache: Path) -> None:
    expected = load(folder, cache)
    path = entries(cache)[0] / "ratings.bin"
    ratings = path.read_bytes()
    path.write_bytes(bytes([ratings[0] ^ 1]) + ratings[1:])
    assert_same(load(folder, cache), expected)


def test_an_entry_whose_parts_do_not_belong_together_is_rebuilt(folder: Path, cache: Path, tmp_path: Path) -> None:
    expected = load(folder, cache)
    other = tmp_path / "other-cache"
    load(write_csv(tmp_path / "other", [(9, 10, 3, 978300000)]), other)
    (entries(other)[0] / "items.bin").replace(entries(cache)[0] / "items.bin")
    assert_same(load(folder, cache), expected)


def test_a_cache_that_cannot_be_written_does_not_stop_loading(folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the cache should be")
    assert load(folder, blocked / "cache").num_interactions == len(SMALL)


def test_a_full_disk_does_not_stop_loading(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "write_array", full)
    assert load(folder, cache).num_interactions == len(SMALL)
    assert entries(cache) == []


def test_a_lost_race_keeps_the_first_entry(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder, cache)
    first = entries(cache)[0].stat().st_ino
    monkeypatch.setattr(cache_module, "_read", lambda *_: None)  # as if the entry had not been there yet
    assert load(folder, cache).num_interactions == len(SMALL)
    assert [entry.stat().st_ino for entry in entries(cache)] == [first]


def test_what_a_process_killed_while_storing_left_is_removed_once_nobody_can_be_at_it(
    folder: Path, cache: Path
) -> None:
    for name, hours in ((".tmp-dataset-old", 2), (".tmp-dataset-new", 0)):
        (cache / name).mkdir(parents=True)
        (cache / name / "items.bin").write_bytes(b"half")
        then = time.time() - hours * 3600
        os.utime(cache / name, (then, then))
    load(folder, cache)
    assert [path.name for path in entries(cache) if path.name.startswith(".")] == [".tmp-dataset-new"]


def test_what_nobody_read_for_long_makes_room_and_what_is_read_stays(folder: Path, cache: Path, tmp_path: Path) -> None:
    load(folder, cache)
    (read_again,) = entries(cache)
    long_ago = time.time() - UNUSED_S - 60
    (forgotten := cache / "0123").mkdir()
    (forgotten / "dataset.json").write_text("{}")
    (cache / "digests").mkdir()
    for path in (read_again, forgotten, cache / "digests"):
        os.utime(path, (long_ago, long_ago))
    load(folder, cache)
    load(write_csv(tmp_path / "other", SMALL[:-1], SMALL_MOVIES), cache)
    assert read_again.is_dir() and not forgotten.exists() and (cache / "digests").is_dir()
