"""All users' lists in a file: what `recommend` says of each, ids as they came, whole or not there."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.errors import NotNumbersError
from recformer.evaluation.baselines import rank_baseline
from recformer.evaluation.evaluate import split_of
from recformer.recommend import all_users
from recformer.recommend.all_users import ListOptions, write_lists
from recformer.run.model_ref import find_model
from recformer.run.paths import Root
from tests.builders import dataset_of
from tests.shop_files import write_shop
from tests.training_helpers import (
    assert_clear_failure,
    json_of,
    run_here,
    save_untrained,
    small_config,
    spoil,
    started_cli,
    train_here,
)
from tests.waiting import wait_until

COLUMNS = ["user_id", "item_id", "rank", "score"]
SASREC = {"name": "sasrec", "width": 16, "num_layers": 1, "num_heads": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A shop whose codes begin with zeros, and a run of each kind: trained, solved, blended."""
    root = Root(tmp_path_factory.mktemp("lists") / "root")
    files = write_shop(root.path.parent / "files")
    columns = ["--user", "Kunde", "--item", "Artikelnr", "--time", "Wann"]
    json_of(run_here(root.path, "data", "add", files / "verkauf.csv", *columns, "--name", "shop", "--json"))
    dataset = shop(root)
    train_here(root, "trained", dataset, small_config())
    train_here(root, "sasrec", dataset, small_config(model=SASREC, window=20, engine="eager"))
    train_here(root, "ridge", dataset, small_config(model="ridge"))
    train_here(root, "blend", dataset, small_config(model={"name": "blend", "parts": ["ridge", "trained"]}))
    return root


def shop(root: Root) -> Dataset:
    return load(root.data / "shop", root.data / ".cache")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lists(root: Root, out: Path, *arguments: object) -> pd.DataFrame:
    """What the command wrote, with ids as text."""
    said = run_here(root.path, "recommend", *arguments, "--all-users", "--out", out)
    assert said.returncode == 0, said.stderr
    if out.suffix == ".csv":
        return pd.read_csv(out, dtype={"user_id": "str", "item_id": "str"})
    return pd.read_parquet(out)


def list_of(table: pd.DataFrame, user: str) -> tuple[list[str], list[float]]:
    own = table[table["user_id"] == user]
    assert own["rank"].tolist() == list(range(1, len(own) + 1))
    return own["item_id"].tolist(), own["score"].tolist()


def assert_same_list(found: tuple[list[str], list[float]], document: Any) -> None:
    items = document["models"][0]["items"]
    assert found[0] == [item["item_id"] for item in items]
    assert found[1] == pytest.approx([item["score"] for item in items], rel=1e-4)


@pytest.mark.parametrize("masking", ["history", "window", "none"])
@pytest.mark.parametrize("model", ["trained", "sasrec", "ridge", "blend"])
def test_lists_are_what_the_command_says_of_a_user(root: Root, tmp_path: Path, model: str, masking: str) -> None:
    more = ["--k", 7, "--mask", masking, "--recent", 3]
    before = lists(root, tmp_path / "before.parquet", model, *more, "--held-out")
    after = lists(root, tmp_path / "after.parquet", model, *more)
    dataset = shop(root)
    for token in (0, 11, 29):
        user, items = str(dataset.user_ids[token]), dataset.item_ids[dataset.history(token)].tolist()
        asked = ["recommend", model, "--user", user, *more, "--json"]
        assert_same_list(list_of(before, user), json_of(run_here(root.path, *asked)))
        whole = json_of(run_here(root.path, *asked, "--items", ",".join(items[-4:])))  # the window and the last item
        assert_same_list(list_of(after, user), whole)


@pytest.mark.parametrize("model", ["trained", "ridge", "blend", "baseline:item_knn", "baseline:popularity"])
def test_everybody_has_k_items_they_never_had_best_first_with_ids_as_they_came(
    root: Root, tmp_path: Path, model: str
) -> None:
    table = lists(root, tmp_path / "lists.parquet", model, "--k", 20, "--data", "shop")
    dataset = shop(root)
    assert list(table) == COLUMNS
    assert table["user_id"].tolist() == np.repeat(dataset.user_ids, 20).tolist()
    assert table["rank"].tolist() == list(range(1, 21)) * dataset.num_users
    assert table["item_id"].str.fullmatch("0000[0-9]{2}").all()
    for token, user in enumerate(dataset.user_ids):
        items, scores = list_of(table, user)
        assert len(set(items)) == 20 and scores == sorted(scores, reverse=True)
        assert not set(items) & set(dataset.item_ids[dataset.history(token)])


def test_a_baselines_lists_before_the_last_item_are_those_of_compare(root: Root, tmp_path: Path) -> None:
    table = lists(root, tmp_path / "lists.parquet", "baseline:item_knn", "--data", "shop", "--held-out")
    prepared = prepare(shop(root), split_of("leave_last_out"))
    ranks, _ = rank_baseline("item_knn", prepared, prepared.split.test)
    expected = prepared.dataset.item_ids[ranks.top_history[:, :10].reshape(-1)]
    assert table["item_id"].tolist() == expected.tolist()


def test_csv_says_the_same_in_plain_text(root: Root, tmp_path: Path) -> None:
    table = lists(root, tmp_path / "lists.parquet", "trained")
    pd.testing.assert_frame_equal(lists(root, tmp_path / "lists.csv", "trained"), table, check_dtype=False)
    first, second = (tmp_path / "lists.csv").read_text().splitlines()[:2]
    assert first == ",".join(COLUMNS)
    assert second.split(",")[0].strip('"') == "K-0000"


def test_what_was_written_is_said(root: Root, tmp_path: Path) -> None:
    out = tmp_path / "new" / "lists.parquet"
    said = json_of(run_here(root.path, "recommend", "trained", "--all-users", "--k", 5, "--out", out, "--json"))
    assert said == {"files": [str(out)], "users": 30, "rows": 150}
    assert names_in(out.parent) == ["lists.parquet"]


def test_many_rows_become_numbered_files_in_a_folder(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lists(root, tmp_path / "whole.parquet", "trained")
    monkeypatch.setattr(all_users, "MOST_ROWS", 130)
    monkeypatch.setattr(all_users, "ROWS_AT_ONCE", 50)
    monkeypatch.setattr("recformer.evaluation.ranker.BATCH", 4)
    out = tmp_path / "lists.parquet"
    pd.testing.assert_frame_equal(lists(root, out, "trained"), whole)
    assert names_in(out) == ["00001.parquet", "00002.parquet", "00003.parquet"]
    assert [len(pd.read_parquet(out / name)) for name in names_in(out)] == [130, 130, 40]


def test_a_list_is_shorter_where_less_is_left_and_repeats_are_hidden_but_for_the_held_out(tmp_path: Path) -> None:
    root, dataset = Root(tmp_path / "root"), dataset_of([[0, 1, 2, 1], [3, 3], [0, 1, 2, 3]], 4)
    model = save_untrained(root, "run", dataset)
    write_lists(root, model, dataset, ListOptions(10), tmp_path / "after.csv")
    found = pd.read_csv(tmp_path / "after.csv").groupby("user_id")["item_id"].apply(set).to_dict()
    assert found == {100: {13}, 101: {10, 11, 12}}, "the last user had everything"
    write_lists(root, model, dataset, ListOptions(10, held_out=True), tmp_path / "before.csv")
    found = pd.read_csv(tmp_path / "before.csv").groupby("user_id")["item_id"].apply(set).to_dict()
    assert found == {100: {11, 13}, 102: {13}}, "who has two items has none held out"


WRONG: list[tuple[list[object], str]] = [
    (["trained", "--all-users"], "--out FILE is missing"),
    (["trained", "--all-users", "--out", "lists.txt"], "lists.txt ends in neither .parquet nor .csv"),
    (
        ["trained", "--all-users", "--out", "lists.csv", "--k", 0],
        "k = 0 is not allowed: use a whole number from 1 to 1,000",
    ),
    (["trained", "--all-users", "--out", "lists.csv", "--user", "K-0000"], "cannot stand beside --all-users"),
    (["trained", "ridge", "--all-users", "--out", "lists.csv"], "one model, and 2 are named"),
    (["trained", "--user", "K-0000", "--out", "lists.csv"], "--out and --held-out belong to --all-users"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_mistake_is_told_and_writes_nothing(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_clear_failure(run_here(root.path, "recommend", *arguments), 2, told)
    assert not names_in(tmp_path)


def test_a_file_that_is_there_is_left_alone(root: Root, tmp_path: Path) -> None:
    out = tmp_path / "lists.csv"
    out.write_text("mine")
    assert_clear_failure(run_here(root.path, "recommend", "trained", "--all-users", "--out", out), 2, "there already")
    assert out.read_text() == "mine" and names_in(tmp_path) == ["lists.csv"]


def test_scores_that_are_no_numbers_leave_no_file(tmp_path: Path) -> None:
    root, dataset = Root(tmp_path / "root"), dataset_of([[0, 1, 2, 1]], 4)
    save_untrained(root, "run", dataset)
    spoil(root, "run")
    with pytest.raises(NotNumbersError, match="run"):
        write_lists(root, find_model(root, "run"), dataset, ListOptions(10), tmp_path / "lists.csv")
    assert names_in(tmp_path) == ["root"]


def test_a_command_interrupted_while_it_writes_leaves_no_file(root: Root, tmp_path: Path) -> None:
    arguments = ["recommend", "trained", "--all-users", "--k", 5, "--out", tmp_path / "out" / "lists.csv"]
    with started_cli(root.path, *arguments) as process:
        writing = (tmp_path / "out").glob
        wait_until(lambda: any(writing(".tmp-lists-*/*")) or process.poll() is not None, "the command to write")
        process.send_signal(signal.SIGINT)
        process.wait()
    assert set(names_in(tmp_path / "out")) <= {"lists.csv"}
    if (tmp_path / "out" / "lists.csv").exists():  # it was quicker than the signal
        assert len(pd.read_csv(tmp_path / "out" / "lists.csv")) == 150
