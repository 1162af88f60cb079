"""`import-lists` and what follows: a baseline's own lists, brought in, are told exactly as the baseline is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.evaluation.baselines import rank_baseline
from recformer.evaluation.ranks import Masking
from recformer.run.paths import Root
from tests.builders import dataset_in
from tests.training_helpers import assert_clear_failure, json_of, run_here, save_untrained


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_in(tmp_path_factory.mktemp("small"))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def export(folder: Path, dataset: Dataset, masking: Masking, k: int, baseline: str = "ease") -> Path:
    """The first k of a baseline on the test part, as CSV, in no order."""
    prepared = prepare(dataset, parse_section("split", "leave_last_out"))
    ranks, _ = rank_baseline(baseline, prepared, prepared.cases("test"))
    rows = [
        (dataset.user_ids[user], dataset.item_ids[item], place)
        for user, items in zip(ranks.user, ranks.top(masking)[:, :k], strict=True)
        for place, item in enumerate(items, start=1)
        if item >= 0
    ]
    path = folder / "lists.csv"
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rank"]).sample(frac=1, random_state=0)
    table.to_csv(path, index=False)
    return path


def imported(root: Root, dataset: Dataset, masking: Masking, k: int, *more: object) -> Any:
    root.path.mkdir(parents=True, exist_ok=True)
    path = export(root.path, dataset, masking, k)
    return json_of(
        run_here(root.path, "import-lists", path, "--name", "elsewhere", "--data", dataset.source, "--json", *more)
    )


def test_a_baselines_own_lists_have_exactly_its_figures(root: Root, dataset: Dataset) -> None:
    imported(root, dataset, "history", 10)
    words = ["elsewhere", "baseline:ease", "--no-baselines", "--part", "test", "--k", "1,5,10", "--format", "json"]
    document = json_of(run_here(root.path, "compare", *words))
    theirs, own = ([one for one in document["results"] if one["masking"] == "history"][place] for place in (0, 1))
    assert [one["run"] for one in (theirs, own)] == ["elsewhere", "baseline:ease"]
    for name, figure in own["metrics"].items():
        if not name.startswith("duplication"):  # of the raw list, which is not in the file
            assert theirs["metrics"][name]["mean"] == figure["mean"], name
    assert theirs["catalogue"] == {name: {"value": entry["value"]} for name, entry in own["catalogue"].items()}
    assert own["metrics"]["ndcg@10"]["mean"] > 0


def test_what_recommend_writes_for_all_users_comes_in_with_the_models_own_figures(root: Root, dataset: Dataset) -> None:
    save_untrained(root, "model", dataset)
    out, data = root.path / "lists.parquet", ("--data", dataset.source)
    written = run_here(root.path, "recommend", "model", *data, "--all-users", "--held-out", "--out", out)
    assert written.returncode == 0, written.stderr
    json_of(run_here(root.path, "import-lists", out, "--name", "elsewhere", *data, "--json"))
    words = ["elsewhere", "model", *data, "--no-baselines", "--part", "test", "--k", "5,10", "--format", "json"]
    results = json_of(run_here(root.path, "compare", *words))["results"]
    theirs, own = (one for one in results if one["masking"] == "history")
    for name in ("ndcg@5", "ndcg@10", "mrr@10", "novelty@10"):
        assert theirs["metrics"][name]["mean"] == own["metrics"][name]["mean"] > 0
    again = run_here(root.path, "recommend", "elsewhere", *data, "--all-users", "--out", root.path / "again.csv")
    assert_clear_failure(again, 2, "there is no model that could list more")
    folder = run_here(root.path, "export", "elsewhere", *data, "--to", root.path / "folder")
    assert_clear_failure(folder, 2, "there is no model to export")


def test_what_is_said_of_it_is_said_alike_in_table_and_json(root: Root, dataset: Dataset) -> None:
    imported(root, dataset, "history", 10)
    words = "lists made elsewhere, up to K = 10: ranks beyond are unknown, and that whoever made them saw none of these"
    alone = run_here(root.path, "evaluate", "elsewhere", "--part", "test", "--k", "10")
    beside = run_here(root.path, "compare", "elsewhere", "--part", "test", "--k", "10")
    for result in (alone, beside):
        assert result.returncode == 0, result.stderr
        assert result.stdout.count(f"elsewhere (lists): {words}") == 1
        assert "0, by the word of who imported it" in result.stdout
    document = json_of(run_here(root.path, "evaluate", "elsewhere", "--part", "test", "--k", "10", "--json"))
    assert all(one["lists"].startswith(words) for one in document["results"])
    assert all("; seen items are not in them" in one["lists"] for one in document["results"])


def test_raw_lists_are_known_as_far_as_masking_leaves_them(root: Root, dataset: Dataset) -> None:
    report = imported(root, dataset, "none", 20)
    limits = report["known_to"]
    assert limits["none"] == 20 > limits["history"] and report["seen"] > 0
    words = ["evaluate", "elsewhere", "--part", "test", "--json", "--mask", "none", "--k", "5,20"]
    document = json_of(run_here(root.path, *words))
    by_masking = {
        one["masking"]: {int(name.partition("@")[2]) for name in one["metrics"]} for one in document["results"]
    }
    assert not any("seen items are not in them" in one["lists"] for one in document["results"])
    assert by_masking["none"] == {5, 20}
    assert all(k <= limits["history"] for k in by_masking["history"])


def test_a_cutoff_beyond_what_is_known_is_refused_in_one_sentence(root: Root, dataset: Dataset) -> None:
    imported(root, dataset, "history", 7)
    for command in ("evaluate", "compare"):
        result = run_here(root.path, command, "elsewhere", "--part", "test")
        assert_clear_failure(
            result, 1, "elsewhere (lists) has lists that are known up to K = 7", "k = 10 is asked for", "--k 7"
        )
    done = run_here(root.path, "compare", "elsewhere", "--part", "test", "--k", "7", "--primary", "ndcg@7")
    assert done.returncode == 0, done.stderr
    assert "ndcg@7 (primary)" in done.stdout


def test_lists_for_another_part_are_refused_in_one_sentence(root: Root, dataset: Dataset) -> None:
    imported(root, dataset, "history", 10)
    words = ["they are for the test part of leave_last_out", "--split leave_last_out --time-ties file --part test"]
    assert_clear_failure(run_here(root.path, "evaluate", "elsewhere"), 1, *words)


def test_lists_cannot_be_asked_about_shuffled_histories(root: Root, dataset: Dataset) -> None:
    imported(root, dataset, "history", 10)
    result = run_here(root.path, "evaluate", "elsewhere", "--part", "test", "--shuffle")
    assert_clear_failure(result, 2, "there is no model to ask about shuffled histories")


def test_a_fault_of_the_command_is_told_before_anything_is_read(root: Root, dataset: Dataset) -> None:
    root.path.mkdir(parents=True)
    path = export(root.path, dataset, "history", 3)
    assert_clear_failure(run_here(root.path, "import-lists", path, "--name", "a"), 2, "--data DIR is missing")
    words = ["import-lists", path, "--data", dataset.source]
    assert_clear_failure(run_here(root.path, *words, "--name", "../a"), 2, "is not allowed")
    result = run_here(root.path, *words, "--name", "a", "--split", "as_given")
    assert_clear_failure(result, 2, "did not come split")


def test_slices_and_csv_hold_lists_too(root: Root, dataset: Dataset) -> None:
    imported(root, dataset, "history", 10)
    words = ["compare", "elsewhere", "baseline:ease", "--part", "test", "--k", "10"]
    document = json_of(run_here(root.path, *words, "--slices", "--format", "json"))
    for entry in document["slices"]:
        own, theirs = entry["models"]
        assert np.isclose(own["mean"], theirs["mean"], atol=1e-12)
    rows = run_here(root.path, *words, "--format", "csv").stdout.splitlines()
    assert "lists" in rows[0].split(",") and "lists made elsewhere" in rows[1]


def test_the_report_is_told_in_words(root: Root, dataset: Dataset) -> None:
    root.path.mkdir(parents=True)
    path = export(root.path, dataset, "history", 10)
    result = run_here(root.path, "import-lists", path, "--name", "a", "--data", dataset.source)
    assert result.stdout.splitlines() == [
        "a: lists.csv",
        "300 rows: user in 'user_id', item in 'item_id', in the order of rank in 'rank'.",
        "30 of 30 users of the part have a list.",
        "Each list has 10 places.",
        "No list has movies that its user had before: they were taken out (masking: history).",
        "Metrics go up to k = 10: ranks beyond are unknown.",
    ]
    json.loads((root.path / "runs" / "a" / "labels.json").read_text())  # it has a colour like any other


def test_recommend_shows_the_users_list(root: Root, dataset: Dataset) -> None:
    imported(root, dataset, "history", 10)
    table = pd.read_csv(root.path / "lists.csv").sort_values("rank")
    words = ["recommend", "elsewhere", "--user", "104", "--k", "5"]
    document = json_of(run_here(root.path, *words, "--json"))
    (model,) = document["models"]
    expected = table.loc[table["user_id"] == 104, "item_id"].tolist()
    assert [item["item_id"] for item in model["items"]] == expected[:5]
    assert model["target_rank"] == (expected.index(document["target"]) + 1 if document["target"] in expected else None)
    assert model["why"] is None and {item["score"] for item in model["items"]} == {None}
    told = run_here(root.path, *words, "--why", str(expected[0])).stdout
    assert "a list made elsewhere: there is no model to ask why, or what if" in told
    refused = run_here(root.path, "recommend", "elsewhere", "--user", "104", "--items", "10,17")
    assert_clear_failure(refused, 2, "elsewhere is a list made elsewhere: there is no model to ask why, or what if")


def test_recommend_refuses_lists_for_another_part_and_a_user_without_one(root: Root, dataset: Dataset) -> None:
    root.path.mkdir(parents=True)
    path = export(root.path, dataset, "history", 10)
    table = pd.read_csv(path)
    table[table["user_id"] != 104].to_csv(path, index=False)
    for name, part in (("theirs", "test"), ("before", "validation")):
        words = ["import-lists", path, "--name", name, "--data", dataset.source, "--part", part]
        assert run_here(root.path, *words).returncode == 0
    result = run_here(root.path, "recommend", "theirs", "--user", "104")
    assert_clear_failure(result, 2, "theirs has no list for user 104")
    result = run_here(root.path, "recommend", "before", "--user", "101")
    assert_clear_failure(result, 2, "before has lists for the validation part of leave_last_out")
