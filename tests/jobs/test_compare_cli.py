"""`compare` on the command line: slices, seeds as one model, windows of several sizes, what is recent, baselines, CSV."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recformer.config import parse_section
from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.evaluation.report import split_in_words
from recformer.evaluation.significance import kind_of
from recformer.evaluation.split_facts import split_facts
from recformer.registry import BASELINES as BASELINE_KINDS
from recformer.run.model_ref import all_baselines
from recformer.run.paths import Root
from recformer.statistics.paired import holm
from tests.builders import dataset_in
from tests.training_helpers import SMALL_SET, assert_clear_failure, json_of, run_here, save_untrained

BASELINES = ", ".join(map(str, all_baselines()))


ALWAYS = ["history length", "target popularity", "target genre", "gender", "age", "occupation"]
"""What cases are grouped by where all users and movies were seen in training."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Root, Dataset]:
    """Runs `zero` and `one` of one recipe, `longer` of another, `narrow` without a configuration; left as they are."""
    folder = tmp_path_factory.mktemp("place")
    root, dataset = Root(folder / "root"), dataset_in(folder / "small")
    for run_id, seed, epochs in (("zero", 0, 1), ("one", 1, 1), ("longer", 0, 2)):
        small = [*SMALL_SET, f"num_epochs={epochs}", f"name=Run {run_id}", f"seed={seed}"]
        options = ["--preset", "baseline", "--set", *small, "--data", dataset.source, "--device", "cpu"]
        result = run_here(root.path, "train", *options, "--run-id", run_id)
        assert result.returncode == 0, result.stderr
    save_untrained(root, "narrow", dataset, window=4)
    return root, dataset


@pytest.fixture
def root(place: tuple[Root, Dataset]) -> Root:
    return place[0]


@pytest.fixture
def data(place: tuple[Root, Dataset]) -> Path:
    return place[1].source


def compare(root: Root, *arguments: object) -> Any:
    """The models named, and no others beside them."""
    return json_of(run_here(root.path, "compare", "--no-join-seeds", *arguments, "--no-baselines", "--format", "json"))


def under(document: Any, masking: str) -> list[dict[str, Any]]:
    return [result for result in document["results"] if result["masking"] == masking]


def rows_of(root: Root, *arguments: object) -> list[dict[str, str]]:
    result = run_here(root.path, "compare", "--no-join-seeds", *arguments, "--no-baselines", "--format", "csv")
    assert result.returncode == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_slices_are_in_the_json_with_their_metric_counts_and_models(root: Root) -> None:
    assert "slices" not in compare(root, "zero", "one")
    document = compare(root, "zero", "one", "--slices", "--k", "3,10", "--mask", "window")
    assert {entry["dimension"] for entry in document["slices"]} == set(ALWAYS)
    for entry in document["slices"]:
        assert (entry["metric"], entry["masking"]) == ("ndcg@10", "window")
        assert [model["run"] for model in entry["models"]] == ["zero", "one"]
        assert entry["few"] == (entry["cases"] < 30 or min(model["hits"] for model in entry["models"]) < 10)
    whole = [result["metrics"]["ndcg@10"]["mean"] for result in under(document, "window")]
    lengths = [entry for entry in document["slices"] if entry["dimension"] == "history length"]
    assert sum(entry["cases"] for entry in lengths) == 30
    for number, mean in enumerate(whole):
        sums = [entry["cases"] * entry["models"][number]["mean"] for entry in lengths]
        assert sum(sums) / 30 == pytest.approx(mean)


@pytest.mark.parametrize("kind", ["table", "markdown"])
def test_slices_stand_below_the_table_for_people(root: Root, kind: str) -> None:
    plain, sliced = (
        run_here(root.path, "compare", "zero", "longer", "--no-baselines", "--k", "20", "--format", kind, *more)
        for more in ([], ["--slices"])
    )
    assert sliced.returncode == 0, sliced.stderr
    before, table = (result.stdout.partition("\nThe last step")[0].rstrip("\n") for result in (plain, sliced))
    assert table.startswith(before)
    added = table.removeprefix(before).strip().splitlines()
    assert added[0].replace("|", " ").split() == ["ndcg@10", "cases", "Run", "zero", "Run", "longer"]
    rows = [line for line in added[1:] if "---" not in line]
    assert len(rows) == len(compare(root, "zero", "longer", "--k", "20", "--slices")["slices"])
    for dimension in ALWAYS:
        assert any(f"{dimension}: " in row for row in rows), dimension
    (everyone,) = [row for row in rows if "age: 25-34" in row]
    assert " 30 " in everyone
    assert any("(few)" in row for row in rows)
    assert "(few)" not in everyone


def test_slices_are_of_the_primary_metric_or_of_those_that_are_named(root: Root) -> None:
    def metrics(*arguments: str) -> list[str]:
        document = compare(root, "zero", "longer", "--slices", *arguments)
        return list(dict.fromkeys(entry["metric"] for entry in document["slices"]))

    assert metrics("--primary", "hr@5") == ["hr@5"]
    assert metrics("--primary", "hr@5", "--metrics", "mrr,duplication/window") == ["mrr@5", "duplication/window@5"]
    table = run_here(root.path, "compare", "zero", "--slices", "--metrics", "hr,mrr").stdout
    assert [line.split()[0] for line in table.splitlines() if line.split()[1:2] == ["cases"]] == ["hr@10", "mrr@10"]


def test_files_and_captions_hold_all_of_the_protocol_and_the_question(root: Root) -> None:
    asked = ["zero", "longer", "--split", "random_windows", "--split-set", "split_seed=3", "--margin", "0.1"]
    asked += ["--users", "20", "--users-seed", "4", "--primary", "hr@5", "--baseline", "longer"]
    document, rows = compare(root, *asked), rows_of(root, *asked)
    protocol, primary = document["protocol"], document["primary"]
    expected = {
        "split": "random_windows",
        "split_options": "validation_fraction=0.1, test_fraction=0.1, split_seed=3, size=5",
        "sampled_users": "20",
        "sampled_seed": "4",
        "looks_at_test": str(document["looks_at_test"]),
        "reference": "longer/best",
        "primary": "hr@5",
        "margin": "0.1",
    }
    assert {name: {row[name] for row in rows} for name in expected} == {name: {one} for name, one in expected.items()}
    assert (protocol["split"]["split_seed"], protocol["sample"]) == (3, {"users": 20, "seed": 4})
    assert (primary["metric"], primary["margin"], primary["reference"]) == ("hr@5", 0.1, 1)
    for kind in ("table", "markdown", "latex"):
        said = run_here(root.path, "compare", *asked, "--format", kind).stdout.replace("\\", "")
        for fact in (f"random_windows ({expected['split_options']})", "a sample of 20 users (seed 4)"):
            assert fact in said
        assert "paired difference to Run longer; HR@5 decides, margin " in said
    assert "a sample of 1 user (seed 0)" in run_here(root.path, "compare", "zero", "longer", "--users", "1").stdout


def test_cases_that_chose_the_settings_of_a_baseline_are_counted(root: Root) -> None:
    models = ["zero", "baseline:item_knn", "baseline:ease", "baseline:popularity"]
    for part, sample, chosen in (("validation", [], 30), ("validation", ["--users", "7"], 7), ("test", [], 0)):
        document = compare(root, *models, "--part", part, *sample)
        assert [result["validated_on"] for result in under(document, "history")] == [chosen, chosen, chosen, 0]


def test_of_a_checkpoint_that_another_split_chose_nobody_says_that_this_one_did(root: Root) -> None:
    def last(*arguments: str) -> str:
        return compare(root, "zero", "longer", *arguments)["conclusion"]["sentences"][-1]

    assert last().startswith("On the validation part, which chose each checkpoint:")
    said = last("--split", "random_windows")
    assert said.startswith("On the validation part, which did not choose each checkpoint as a whole: Run zero by ")


@pytest.mark.parametrize("kind", ["csv", "latex"])
def test_slices_are_refused_where_they_would_not_be_shown(root: Root, kind: str) -> None:
    result = run_here(root.path, "compare", "zero", "--slices", "--format", kind)
    assert_clear_failure(result, 2, "--slices", kind, "--format table, markdown or json")


def test_seeds_of_one_recipe_are_one_model_unless_they_are_to_stand_apart(root: Root) -> None:
    apart = compare(root, "longer", "zero", "one", "--k", "10")
    joined = compare(root, "longer", "zero", "one", "--k", "10", "--join-seeds")
    assert [(r["run"], r["seeds"]) for r in under(apart, "none")] == [("longer", 1), ("zero", 1), ("one", 1)]
    assert [(r["run"], r["seeds"]) for r in under(joined, "none")] == [("longer", 1), ("zero", 2)]
    each = [result["metrics"]["ndcg@10"]["mean"] for result in under(apart, "none")[1:]]
    metric = under(joined, "none")[1]["metrics"]["ndcg@10"]
    assert metric["mean"] == pytest.approx(np.mean(each))
    assert (metric["seeds"]["low"], metric["seeds"]["high"]) == pytest.approx((min(each), max(each)))
    base = under(joined, "none")[0]["metrics"]["ndcg@10"]["mean"]
    assert metric["difference"]["mean"] == pytest.approx(metric["mean"] - base)
    for kind in ("table", "csv", "markdown", "latex", "json"):
        said = run_here(root.path, "compare", "zero", "one", "longer", "--format", kind).stdout
        assert "Run zero (2 seeds)" in said and "Run one" not in said
        told = said.count("Seeds of one recipe are taken together, as their mean: Run zero (2 seeds).")
        assert told == (kind != "csv"), "in one place"


def test_a_table_says_how_many_seeds_a_column_is_of_and_how_far_they_are_apart(root: Root) -> None:
    result = run_here(root.path, "compare", "zero", "one", "longer", "--k", "10")
    assert result.returncode == 0, result.stderr
    assert "zero/best, one/best" in result.stdout, "which runs these are"
    assert "Run zero (2 seeds)" in result.stdout.splitlines()[0]
    assert " seeds 0." in result.stdout
    assert {row["seed_sd"] != "" for row in rows_of(root, "zero", "one", "--join-seeds") if row["low"]} == {True}
    assert {row["seed_sd"] for row in rows_of(root, "zero", "one")} == {""}


def test_a_baseline_among_the_joined_seeds_stands_for_all_of_them(root: Root) -> None:
    document = compare(root, "longer", "zero", "one", "--join-seeds", "--baseline", "one", "--k", "10")
    with_difference = {result["run"] for result in document["results"] if "difference" in result["metrics"]["hr@10"]}
    assert with_difference == {"longer"}


def test_baselines_and_last_checkpoints_are_not_joined(root: Root) -> None:
    models = ["zero", "one/last", "baseline:popularity", "baseline:markov"]
    assert [result["seeds"] for result in compare(root, *models, "--join-seeds")["results"]] == [1] * 12


def test_windows_of_two_sizes_are_compared_on_the_same_cases(root: Root, data: Path) -> None:
    document = compare(root, "zero", "narrow", "--data", data)
    assert document["protocol"]["recent"] == 5
    assert [result["run"] for result in under(document, "none")] == ["zero", "narrow"]
    assert {result["cases"] for result in document["results"]} == {30}


@pytest.mark.parametrize("option", ["--recent", "--window"])  # the one is the other's old name
def test_what_counts_as_the_window_is_asked_for(root: Root, data: Path, option: str) -> None:
    for recent, models in ((2, ["zero", "narrow"]), (8, ["narrow", "zero", "baseline:markov"])):
        document = compare(root, *models, option, recent, "--data", data)
        assert document["protocol"]["recent"] == recent
        assert "window" not in document["protocol"]
        assert [result["run"] for result in under(document, "none")] == models
        assert {result["cases"] for result in document["results"]} == {30}


def test_what_counts_as_the_window_changes_what_is_masked_and_no_raw_rank(root: Root, data: Path) -> None:
    few, many = (compare(root, "zero", "narrow", "--recent", size, "--data", data, "--k", "10") for size in (1, 9))
    for masking, same in (("none", True), ("window", False), ("history", True)):
        one, other = (
            [result["metrics"]["ndcg@10"]["mean"] for result in under(found, masking)] for found in (few, many)
        )
        assert (one == other) is same, masking


def test_a_window_of_nothing_is_refused(root: Root, data: Path) -> None:
    result = run_here(root.path, "compare", "zero", "narrow", "--recent", 0, "--data", data)
    assert (result.returncode, result.stdout) == (2, "")
    assert "'--recent'" in result.stderr and "Traceback" not in result.stderr


def test_a_baseline_is_a_model_like_any_other(root: Root) -> None:
    document = compare(root, "zero", "baseline:popularity", "--k", "10")
    own, popular = under(document, "history")
    assert (popular["run"], popular["checkpoint"], popular["trained_on"]) == ("baseline:popularity", "baseline", 0)
    assert "difference" in popular["metrics"]["ndcg@10"]
    assert "difference" not in own["metrics"]["ndcg@10"]
    assert document["protocol"]["recent"] == 5


def test_differences_are_taken_to_a_baseline_that_is_named_and_it_joins_the_models(root: Root) -> None:
    document = compare(root, "zero", "one", "--baseline", "baseline:markov", "--k", "10")
    assert [result["run"] for result in under(document, "none")] == ["baseline:markov", "zero", "one"]
    without = {result["run"] for result in document["results"] if "difference" not in result["metrics"]["mrr@10"]}
    assert without == {"baseline:markov"}


def test_a_baseline_alone_is_compared_where_the_data_is_named(root: Root, data: Path) -> None:
    models = ["baseline:popularity", "baseline:item_knn", "baseline:markov"]
    document = compare(root, *models, "--data", data)
    assert [result["run"] for result in under(document, "none")] == models


@pytest.mark.parametrize("arguments", [["baseline:oracle"], ["zero", "--baseline", "baseline:oracle"]], ids=" ".join)
def test_a_baseline_that_there_is_not_is_refused_with_those_there_are(
    root: Root, data: Path, arguments: list[str]
) -> None:
    result = run_here(root.path, "compare", *arguments, "--data", data)
    assert_clear_failure(result, 2, "there is no baseline 'baseline:oracle'", BASELINES)


def test_csv_has_the_test_of_every_difference_as_the_json_has(root: Root) -> None:
    models = ["zero", "one", "baseline:popularity", "--k", "5,10"]
    document = compare(root, *models)
    tests = ("p", "p_adjusted", "effect_size")
    found = {
        (row["run"], row["masking"], row["metric"]): [row[f"difference_{key}"] for key in tests]
        for row in rows_of(root, *models)
    }
    seen = 0
    for result in document["results"]:
        for name, metric in (result["metrics"] | result["catalogue"]).items():
            cells = found.pop((result["run"], result["masking"], name))
            difference = metric.get("difference")
            if isinstance(difference, dict):
                assert [float(cell) for cell in cells] == [difference[key] for key in tests]
                assert 0 < difference["p"] <= difference["p_adjusted"] + 1e-3
                assert difference["p_adjusted"] <= 1
                seen += 1
            else:
                assert cells == ["", "", ""]
    assert not found
    assert seen == 2 * 3 * len(document["results"][0]["metrics"])


@pytest.mark.parametrize("joined", [False, True], ids=["one seed", "several seeds"])
def test_csv_corrects_the_primary_differences_of_one_masking_and_apart_from_them_all_others(
    root: Root, joined: bool
) -> None:
    first, *seeds = ["baseline:markov", "--join-seeds"] if joined else ["longer"]
    rows = rows_of(root, first, "zero", "one", "baseline:popularity", "--k", "3,5,10", *seeds)
    for masking in ("none", "window", "history"):
        family = [row for row in rows if row["masking"] == masking and row["difference_p"]]
        family = [row for row in family if not row["metric"].startswith("map@")]  # which is mrr
        for name in ("primary", "accuracy", "duplication", "lists"):
            part = [row for row in family if name in (row["difference_family"], kind_of(row["metric"]))]
            part = [row for row in part if (row["difference_family"] == "primary") == (name == "primary")]
            assert {row["metric"] for row in part if name == "primary"} <= {"ndcg@10"}
            adjusted = [float(row["difference_p_adjusted"]) for row in part]
            by_holm = holm(np.array([float(row["difference_p"]) for row in part])).tolist()
            (how,) = {row["difference_correction"] for row in part}
            assert how == "max-T" or joined  # of a kind in which all seeds are alike users alone have a say
            assert adjusted == by_holm if how == "Holm" else all(np.array(adjusted) <= np.array(by_holm) + 2e-3)
            assert {row["difference_comparisons"] for row in part} == {str(len(part))}
            about = {row["run"]: row["difference_about"] for row in part}
            assert about == (
                {"zero": "recipes", "baseline:popularity": "recipes"}
                if joined
                else dict.fromkeys(("zero", "one", "baseline:popularity"), "models")
            )


ONE_SEED = "were trained with one seed: another seed may differ. Compare several seeds of each."


@pytest.mark.parametrize("kind", ["table", "markdown", "latex"])
def test_one_seed_has_a_dagger_and_no_star_in_every_table(root: Root, kind: str) -> None:
    models = ["baseline:popularity", "zero", "longer", "baseline:markov", "--no-baselines", "--format", kind]
    said = run_here(root.path, "compare", *models).stdout
    rows = rows_of(root, *models[:4])
    of_models = {row["run"] for row in rows if row["difference_about"] == "models"}
    assert of_models == {"zero", "longer"}
    clear = {row["difference_about"] for row in rows if row["masking"] == "history" and clearly(row)}
    table = said.split("has the highest")[0]
    assert ("†" in table) == ("models" in clear) is True
    assert ("]*" in table) == ("recipes" in clear)


def clearly(row: dict[str, str]) -> bool:
    return bool(row["difference_p_adjusted"]) and float(row["difference_p_adjusted"]) < 0.05


def test_several_seeds_have_the_variance_of_users_and_seeds(root: Root) -> None:
    document = compare(root, "baseline:popularity", "zero", "one", "--join-seeds", "--k", "10")
    joined = under(document, "history")[1]["metrics"]["ndcg@10"]
    alone = [primary_of(compare(root, "baseline:popularity", name))[1] for name in ("zero", "one")]
    entry = joined["difference"]
    assert (entry["about"], entry["correction"], entry["comparisons"]) == ("recipes", "Holm", 1)
    assert entry["p_adjusted"] == entry["p"]
    assert entry["standard_error"] ** 2 > joined["seeds"]["sd"] ** 2 / 2 > 0
    assert 1 <= entry["freedom"] <= 30
    middle = (entry["low"] + entry["high"]) / 2
    assert entry["mean"] == pytest.approx(middle) == pytest.approx(np.mean([one["mean"] for one in alone]))
    assert [one["about"] for one in alone] == ["models", "models"]
    assert all("freedom" not in one for one in alone)


@pytest.mark.parametrize("split", ["leave_last_out", "global_temporal"])
def test_effect_sizes_have_the_sign_of_their_differences(root: Root, data: Path, split: str) -> None:
    document = compare(root, "zero", *ALL, "--split", split, "--data", data)
    seen = 0
    for result in document["results"]:
        for name, metric in result["metrics"].items():
            if entry := metric.get("difference"):
                assert entry["effect_size"] == 0 or np.sign(entry["effect_size"]) == np.sign(entry["mean"]), name
                seen += entry["effect_size"] != 0
    assert seen > 50


def test_under_global_temporal_warm_and_cold_cases_stand_apart(root: Root, tmp_path: Path) -> None:
    """One user comes after the other, but for the first, who comes back."""
    rows = [
        (user, 1 + (5 * user + 3 * place) % 40, 4, 1_000_000 * user + 100 * place)
        for user in range(1, 41)
        for place in range(12)
    ]
    rows += [(1, 38 + place, 4, 50_000_000 + place) for place in range(2)] + [(1, 99, 4, 50_000_900)]
    dataset = dataset_in(tmp_path / "late", rows)
    under_test = ("--split", "global_temporal", "--part", "test", "--data", dataset.source)
    asked = ("baseline:popularity", "baseline:markov", *under_test)
    document = compare(root, *asked)
    found = {entry["label"]: entry["cases"] for entry in document["slices"] if entry["dimension"] == "seen in training"}
    assert len(found) == len(document["slices"])  # without being asked for any
    every = compare(root, *asked, "--slices")["slices"]
    assert [entry for entry in every if entry["dimension"] == "seen in training"] == document["slices"]
    table = run_here(root.path, "evaluate", *asked).stdout
    assert "seen in training: new user" in table and "seen in training: user and movie seen" in table
    assert found["new user"] > 30
    assert (found["user and movie seen"], found["new movie"]) == (2, 1)
    assert sum(found.values()) >= document["protocol"]["cases"]


def test_what_the_article_view_does_not_take_is_refused(tmp_path: Path) -> None:
    result = run_here(tmp_path, "compare", "--article", "--k", "7", "--slices")
    assert_clear_failure(result, 2, "--k", "--slices", "cannot stand beside --article")


def test_a_model_that_is_named_twice_is_refused(root: Root) -> None:
    assert_clear_failure(run_here(root.path, "compare", "one", "zero", "one"), 2, "one/best is named twice")


def test_every_row_of_a_csv_names_its_protocol_and_what_was_trained_on(root: Root, place: tuple[Root, Dataset]) -> None:
    honest, leaking = (rows_of(root, "zero", "one", "--split", split) for split in ("leave_last_out", "random_windows"))
    dataset = place[1]
    for rows, split, item_set in ((honest, "leave_last_out", "items"), (leaking, "random_windows", "tokens")):
        assert {(row["dataset"], row["fingerprint"]) for row in rows} == {(dataset.name, dataset.fingerprint)}
        assert {(row["split"], row["part"], row["recent"], row["item_set"]) for row in rows} == {
            (split, "validation", "5", item_set)
        }
    assert {row["trained_on"] for row in honest} == {"0"}
    assert all(int(row["trained_on"]) > 0 for row in leaking)


def test_a_leak_is_said_in_words_below_the_table(root: Root) -> None:
    assert "LEAKS" not in run_here(root.path, "compare", "zero", "longer").stdout
    said = run_here(root.path, "compare", "zero", "longer", "--split", "random_windows").stdout
    (line,) = [line for line in said.splitlines() if line.startswith("cases trained on")]
    assert line.count("LEAKS, the figures flatter it") == 2


def test_one_more_epoch_under_another_split_takes_no_leak_away(tmp_path: Path, data: Path) -> None:
    """As somebody would launder one: trained on most of the test, then a step from there under an honest split."""
    root, small = Root(tmp_path), [*SMALL_SET, "num_epochs=1"]
    options = ["train", "--device", "cpu", "--data", data]
    leaking = ["--preset", "baseline", "--run-id", "leaking", "--set", *small, "split=random_windows"]
    laundered = ["--init-from", "leaking/best", "--run-id", "laundered", "--set", "learning_rate=1e-6"]
    alone = ["--preset", "baseline", "--run-id", "alone", "--set", *small]
    for arguments in (leaking, [*laundered, "split=leave_last_out"], alone):
        result = run_here(root.path, *options, *arguments)
        assert result.returncode == 0, result.stderr
    for part in ("test", "validation"):
        asked = ("laundered", "leaking", "alone", "--data", data, "--part", part)
        document = compare(root, *asked)
        first, second, third = under(document, "history")
        for found in (first, second):
            assert found["trained_on"] == second["trained_on"] > found["cases"] / 2
            assert found["validated_on"] > 0
        assert (first["counts"], second["counts"], third["counts"]) == (False, False, True)
        assert third["trained_on"] == 0
        assert document["best"]["history"] == "alone/best", "whoever knows the cases has no say"
        assert first["metrics"]["ndcg@10"]["to_best"]["mean"] == pytest.approx(
            first["metrics"]["ndcg@10"]["mean"] - third["metrics"]["ndcg@10"]["mean"]
        )
        said = run_here(root.path, "compare", *asked, "--no-baselines").stdout
        assert f"baseline continued: {first['trained_on']} of {first['cases']} cases" in said
        sentences = document["conclusion"]["sentences"]
        assert sentences[0].startswith("baseline · alone has the highest NDCG@10 of the models that count")
        assert all(sentence in said for sentence in sentences), "word for word"
        means = {
            name: one["metrics"]["ndcg@10"]["mean"] for name, one in zip(asked[:3], (first, second, third), strict=True)
        }
        top = max(means, key=means.__getitem__)
        told = f"{first['model'] if top == 'laundered' else f'baseline · {top}'} has the highest value, {means[top]:.4f}, but it was trained on"
        assert any(sentence.startswith(told) for sentence in sentences) == (top != "alone")
        (line,) = [line for line in said.splitlines() if line.startswith("cases trained on")]
        assert line.count("LEAKS, the figures flatter it") == 2
        rows = rows_of(root, *asked)
        assert {(row["run"], row["counts"]) for row in rows} == {
            *(("laundered", "False"), ("leaking", "False"), ("alone", "True"))
        }


def test_the_window_is_five_items_and_may_be_asked_for_by_its_name_of_before(root: Root) -> None:
    def recent(*arguments: str) -> int:
        return compare(root, "zero", "one", *arguments)["protocol"]["recent"]

    assert (recent(), recent("--recent", "7"), recent("--window", "7")) == (5, 7, 7)
    assert run_here(root.path, "compare", "zero", "--recent", "0").returncode == 2


ALL = list(map(str, all_baselines()))


def primary_of(document: Any, name: str = "ndcg@10", masking: str = "history") -> list[Any]:
    return [result["metrics"][name].get("difference") for result in under(document, masking)]


def test_baselines_are_beside_models_by_themselves_where_none_is_named(root: Root) -> None:
    first = json_of(run_here(root.path, "compare", "zero", "longer", "--format", "json"))
    assert [result["run"] for result in under(first, "history")] == ["zero", "longer", *ALL]
    chosen = json_of(run_here(root.path, "compare", "zero", "baseline:markov", "--format", "json"))
    assert [result["run"] for result in under(chosen, "history")] == ["zero", "baseline:markov"]
    assert [result["run"] for result in under(compare(root, "zero", "one"), "history")] == ["zero", "one"]


def test_what_is_computed_beside_it_does_not_change_the_primary_verdict(root: Root) -> None:
    few, many = (compare(root, "zero", "longer", "baseline:markov", "--k", k) for k in ("10", "1,3,5,10,20"))
    for masking in ("history", "window", "none"):
        for one, other in zip(primary_of(few, masking=masking)[1:], primary_of(many, masking=masking)[1:], strict=True):
            words = {key: value for key, value in one.items() if value is None or isinstance(value, str | bool)}
            assert {"family", "verdict", "equivalent", "about", "correction", "at_floor"} <= set(words)
            assert words.items() <= other.items()
            numbers = {key: value for key, value in one.items() if key not in words}
            assert {key: other[key] for key in numbers} == pytest.approx(numbers, rel=1e-9)
        assert {d["comparisons"] for d in primary_of(few, masking=masking)[1:]} == {2}


def test_fewer_metrics_or_cutoffs_give_no_difference_another_p(root: Root) -> None:
    models = ["zero", "longer", "baseline:markov"]

    def adjusted(*arguments: str) -> dict[tuple[str, ...], str]:
        rows = rows_of(root, *models, *arguments)
        return {
            (row["run"], row["masking"], row["metric"]): row["difference_p_adjusted"]
            for row in rows
            if row["difference_p"]
        }

    every, few = adjusted(), adjusted("--k", "10", "--metrics", "hr,duplication/window")
    assert {metric for *_, metric in few} == {"hr@10", "duplication/window@10"}
    assert few == {place: every[place] for place in few}
    said = [
        run_here(root.path, "compare", *models, *more).stdout for more in ([], ["--metrics", "ndcg,hr", "--k", "10"])
    ]
    hits = [next(line.split() for line in text.splitlines() if line.startswith("hr@10")) for text in said]
    assert hits[0] == hits[1]


def test_another_primary_metric_is_corrected_and_answered_instead(root: Root) -> None:
    models = ["zero", "longer", "baseline:markov"]
    document = compare(root, *models, "--k", "3", "--primary", "HR@5", "--margin", "0.5")
    assert document["primary"] == {"metric": "hr@5", "margin": 0.5, "reference": 0}
    assert {d["family"] for d in primary_of(document, "hr@5")[1:]} == {"primary"}
    assert {d["family"] for d in primary_of(document, "ndcg@3")[1:]} == {"exploratory"}
    assert all(isinstance(d["equivalent"], bool) for d in primary_of(document, "hr@5")[1:])
    said = run_here(root.path, "compare", *models, "--primary", "hr@5", "--margin", "0.5").stdout
    assert said.splitlines()[1].startswith("hr@5 (primary)")
    assert "has the highest HR@5" in said and "HR@5 is primary: max-T over its 2 differences" in said


def test_a_table_says_in_words_which_model_is_below_a_baseline(root: Root) -> None:
    document = json_of(run_here(root.path, "compare", "zero", "--format", "json"))
    mean = {result["run"]: result["metrics"]["ndcg@10"]["mean"] for result in under(document, "history")}
    better = [name for name in ALL if mean[name] > mean["zero"]]
    said = run_here(root.path, "compare", "zero").stdout
    titles = [BASELINE_KINDS.get(name.removeprefix("baseline:")).TITLE for name in better]
    assert bool(better) == ("Run zero is below" in said)
    assert all(title in said.split("Run zero is below")[1].split(":\n")[0] for title in titles)


@pytest.mark.parametrize("kind", ["table", "markdown", "latex"])
def test_the_verdict_stands_with_every_table(root: Root, kind: str) -> None:
    said = run_here(root.path, "compare", "zero", "longer", "--format", kind).stdout
    assert "has the highest NDCG@10" in said
    assert f"NDCG@10 is primary: max-T over its {1 + len(ALL)} differences; all else is exploratory" in said


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--primary", "recall@10", "ndcg@10"),
        ("--primary", "ndcg@21", "1 to 20"),
        ("--margin", "0", "above 0"),
        ("--margin", "1e+308", "above 0 and below 1"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(root: Root, option: str, value: str, allowed: str) -> None:
    assert_clear_failure(run_here(root.path, "compare", "zero", option, value), 2, value, allowed)


def test_another_part_is_another_protocol_with_its_own_cases(root: Root) -> None:
    test, validation = (compare(root, "zero", "--part", part) for part in ("test", "validation"))
    assert (test["protocol"]["part"], validation["protocol"]["part"]) == ("test", "validation")
    assert test["protocol"]["cases_fingerprint"] != validation["protocol"]["cases_fingerprint"]
    assert [result["validated_on"] for result in under(validation, "history")] == [validation["protocol"]["cases"]]
    assert [result["validated_on"] for result in under(test, "history")] == [0]
    assert compare(root, "zero")["protocol"] == validation["protocol"], "one develops on validation"
    step = "The last step, once the choice is made: --part test"
    for command in ("compare", "evaluate"):
        assert run_here(root.path, command, "zero").stdout.splitlines()[-1] == step
        assert step not in run_here(root.path, command, "zero", "--part", "test").stdout
    refused = run_here(root.path, "compare", "zero", "--part", "train")
    assert refused.returncode == 2 and "validation" in refused.stderr


def test_the_facts_of_the_split_stand_in_json(root: Root) -> None:
    assert set(compare(root, "zero")["split_facts"]) == {
        *("tied_targets", "later_training", "users_within_an_hour", "cold_users", "cold_items", "times_are_real")
    }


@pytest.mark.parametrize("kind", ["table", "markdown", "latex"])
def test_the_protocol_line_says_of_the_split_what_the_page_says(root: Root, data: Path, kind: str) -> None:
    facts = split_facts(prepare(read_dataset(data), parse_section("split", "leave_last_out")), "test")
    asked = ("compare", "zero", "longer", "--no-baselines", "--part", "test", "--format")
    document = json_of(run_here(root.path, *asked, "json"))
    said = run_here(root.path, *asked, kind).stdout.replace("\\", "")
    assert f"The split: {split_in_words(facts)}" in said
    assert document["looks_at_test"] >= 2
    assert said.count(f"{document['looks_at_test']} checkpoints were looked at so far") == 1
    assert "Looks at the test" not in said, "the verdict says it"


def test_tables_and_csv_hold_the_metrics_that_are_named(root: Root) -> None:
    rows = rows_of(root, "zero", "one", "--metrics", "hr,coverage", "--k", "5")
    assert {row["metric"] for row in rows} == {"hr@5", "coverage@5"}
    table = run_here(root.path, "compare", "zero", "one", "--no-baselines", "--metrics", "hr", "--k", "5").stdout
    assert "hr@5" in table and "coverage@5" not in table and "mrr@5" not in table
    short = rows_of(root, "zero", "one", "--metrics", "diversity", "--k", "5")
    assert {row["metric"] for row in short} == {"diversity/genre@5"}, "its only one"
    for wrong in ("foo", ","):
        assert_clear_failure(run_here(root.path, "compare", "zero", "--metrics", wrong), 2, "there are", "ndcg")
    several = run_here(root.path, "compare", "zero", "--metrics", "hr,duplication")
    assert_clear_failure(several, 2, "duplication is duplication/history or duplication/window; there are hr")


def test_options_of_the_split_are_changed_and_checked(root: Root) -> None:
    first, other = (
        compare(root, "zero", "--split", "random_windows", "--split-set", f"split_seed={seed}")["protocol"]
        for seed in (0, 3)
    )
    assert other["split"]["split_seed"] == 3
    assert first["cases_fingerprint"] != other["cases_fingerprint"]
    for wrong in ("split_seed=x", "no_such=1", "split_seed"):
        result = run_here(root.path, "compare", "zero", "--split", "random_windows", "--split-set", wrong)
        assert_clear_failure(result, 2, wrong.partition("=")[0])
    for wrong in ("split_seed=3", "name=random_windows"):
        result = run_here(root.path, "compare", "zero", "--split-set", wrong)
        key = wrong.partition("=")[0]
        assert_clear_failure(result, 2, f"the split leave_last_out has no option '{key}'; it has time_ties")
