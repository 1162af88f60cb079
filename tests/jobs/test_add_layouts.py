"""Folders in a known layout by `data add`: linked, and the same dataset as the folder read where it lies."""

from pathlib import Path

import pytest

from recformer.data.assemble import read_dataset
from tests.builders import FORMATS, SMALL, SMALL_MOVIES, write_csv, write_format
from tests.training_helpers import assert_clear_failure, json_of, run_here


@pytest.mark.parametrize("name", FORMATS)
def test_a_known_layout_is_linked_and_gives_its_own_dataset(name: str, tmp_path: Path) -> None:
    files, root = write_format(name, tmp_path / "files", SMALL, SMALL_MOVIES), tmp_path / "root"
    there = read_dataset(files)
    tried = json_of(run_here(root, "data", "add", str(files), "--dry-run", "--json"))
    assert (tried["folder"], tried["format"], tried["mapping"]) == (None, name, None)
    added = json_of(run_here(root, "data", "add", str(files), "--name", "it", "--json"))
    assert added["fingerprint"] == there.fingerprint
    assert (root / "data" / "it").resolve() == files
    info = json_of(run_here(root, "data", "info", "it", "--json"))
    assert (info["format"], info["fingerprint"], info["items"]) == (name, there.fingerprint, there.num_items)
    for said in (tried, added, info):
        assert said["notes"] == [
            "2 interactions have the same second as another of their user; the order of the file decides",
            "2 users have fewer than 3 interactions; they are trained on and not evaluated",
        ]
    text = run_here(root, "data", "info", "it").stdout + run_here(root, "data", "add", str(files), "--dry-run").stdout
    assert all(text.count(note) == 2 for note in added["notes"]), text
    assert_clear_failure(run_here(root, "data", "add", str(files), "--name", "it"), 2, "already")


def test_what_is_said_of_the_files_makes_them_any_table(tmp_path: Path) -> None:
    files = write_csv(tmp_path / "files", SMALL, SMALL_MOVIES)
    found = json_of(run_here(tmp_path, "data", "add", str(files), "--min-rating", "3", "--dry-run", "--json"))
    assert (found["format"], found["report"]["low_ratings"]) == ("table", 2)
    assert "the files are of the layout movielens_csv" in found["reasons"][0]


def test_files_that_are_only_called_like_a_layout_are_told_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("film,title\nx,Tea\n")
    (tmp_path / "ratings.csv").write_text("who,film,when\na,x,1700000000\n")
    failed = run_here(tmp_path, "data", "add", str(tmp_path), "--dry-run")
    assert_clear_failure(failed, 1, "Or name its columns")
    found = json_of(
        run_here(tmp_path, "data", "add", str(tmp_path), "--user", "who", "--item", "film", "--dry-run", "--json")
    )
    assert found["report"]["items_not_in_table"] == 0
