"""A shop by command line: added, listed, described, trained, compared, recommended, exported and removed."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.training_helpers import SMALL_SET, assert_clear_failure, json_of, run_here


def write_shop(folder: Path) -> Path:
    """Orders with text ids, zones and quantities under names unlike any expected; products with two categories."""
    draw = random.Random(3)
    folder.mkdir(parents=True)
    lines = ["Beleg;Kunde;Ware;Wann;Menge"]
    for order in range(900):
        when = f"2026-{1 + order * 11 // 900:02d}-{1 + order % 28:02d}T{order % 24:02d}:15:00+01:00"
        lines.append(f"{order};K-{draw.randrange(60):04d};{draw.randrange(30):05d};{when};{draw.randrange(1, 5)}")
    lines.append(f"900;;{7:05d};2026-12-01T00:00:00+01:00;1")
    (folder / "orders.csv").write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    lines = ["Nummer,Bezeichnung,department,colour"]
    for product in range(28):
        department, colour = ("food", "tools")[product % 2], ("red", "blue", "green")[product % 3]
        lines.append(f'{product:05d},"Tee {product}, groß",{department},{colour}')
    (folder / "products.csv").write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "root"


@pytest.fixture(scope="module")
def added(root: Path) -> Any:
    """What adding the shop said."""
    write_shop(root.parent / "files")
    return json_of(run_here(root, *add(root), "--name", "shop", "--json"))


def add(root: Path) -> list[str]:
    files = root.parent / "files"
    columns = ["--user", "Kunde", "--item", "Ware", "--item-id", "Nummer", "--title", "Bezeichnung"]
    return ["data", "add", str(files), *columns, "--noun", "product"]


def test_what_was_added_is_told_in_numbers(root: Path, added: Any) -> None:
    assert added["left_out"] == ["1 rows have no user or no item"]
    assert "2 items are not in the table of items" in added["notes"]
    assert added["mapping"]["time"] == "Wann" and added["mapping"]["time_unit"] == "iso"
    assert (added["report"]["users"], added["report"]["items"], added["report"]["interactions"]) == (60, 30, 900)
    link = root / "data" / "shop" / "orders.csv"
    assert link.is_symlink() and link.resolve() == root.parent / "files" / "orders.csv"


def test_a_dry_run_shows_rows_and_histories_and_adds_nothing(root: Path, added: Any) -> None:
    result = run_here(root, *add(root), "--k-core", "12", "--dry-run")
    assert result.returncode == 0, result.stderr
    for words in (
        "0  K-0",
        "first histories",
        "Tee ",
        "2025-12-31 to 2026-11-",
        "too few interactions",
        "nothing was added",
    ):
        assert words in result.stdout, result.stdout
    assert [row["name"] for row in json_of(run_here(root, "data", "list", "--json"))] == ["shop"]


def test_trained_compared_and_recommended_with_its_titles(root: Path, added: Any) -> None:
    small = [*SMALL_SET, "num_epochs=1"]
    result = run_here(root, "train", "--preset", "fast", "--data", "shop", "--run-id", "first", "--set", *small)
    assert result.returncode == 0, result.stderr
    found = json_of(run_here(root, "compare", "first", "baseline:popularity", "--part", "test", "--format", "json"))
    assert {one["run"] for one in found["results"]} == {"first", "baseline:popularity"}
    result = run_here(root, "recommend", "first", "--user", "K-0000")
    assert result.returncode == 0, result.stderr
    assert "Tee" in result.stdout


def test_info_takes_the_name_and_says_what_was_left_out(root: Path, added: Any) -> None:
    facts = json_of(run_here(root, "data", "info", "shop", "--json"))
    assert (facts["format"], facts["users"], facts["report"]["empty"]) == ("table", 60, 1)
    assert facts["fingerprint"] == added["fingerprint"]


def test_exported_for_others(root: Path, added: Any, tmp_path: Path) -> None:
    result = run_here(root, "data", "export", "shop", str(tmp_path / "out"), "--format", "recbole")
    assert result.returncode == 0, result.stderr
    names = {"shop.train.inter", "shop.valid.inter", "shop.test.inter", "README.md"}
    assert (
        {Path(line).name for line in result.stdout.split()}
        == names
        == {path.name for path in (tmp_path / "out").iterdir()}
    )


def test_mistakes_are_one_sentence_and_leave_nothing(root: Path, added: Any) -> None:
    files = root.parent / "files"
    assert_clear_failure(run_here(root, *add(root), "--name", "shop"), 2, "already")
    assert_clear_failure(run_here(root, *add(root), "--name", "../shop"), 2, "is not allowed")
    assert_clear_failure(run_here(root, *add(root)), 2, "--name is missing")
    assert_clear_failure(run_here(root, "data", "add", str(files / "orders.csv"), "--name", "x"), 1, "Kunde")
    assert_clear_failure(run_here(root, "data", "add", "no-such", "--name", "x"), 1, "is not there")
    assert_clear_failure(run_here(root, "data", "remove", "shop"), 2, "--yes")
    assert_clear_failure(run_here(root, "data", "remove", "other", "--yes"), 2, "there is no dataset other")
    assert sorted(path.name for path in (root / "data").iterdir()) == [".cache", "shop"]


def test_removed_with_its_files_left_where_they_are(root: Path, added: Any) -> None:
    result = run_here(root, *add(root), "--name", "second")
    assert result.returncode == 0, result.stderr
    result = run_here(root, "data", "remove", "second", "--yes")
    assert "its files stay where they are" in result.stdout, result.stderr
    assert not (root / "data" / "second").exists()
    assert (root.parent / "files" / "orders.csv").is_file()
