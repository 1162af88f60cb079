"""The command line, in real processes where those matter: JSON shapes, exit codes, and one clear message for each mistake."""

import csv
import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from recformer.checkpoint.weights import read_state
from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset
from recformer.files.names import PROJECT
from recformer.registry import BASELINES
from recformer.run.overview import find_run
from recformer.run.paths import Root
from tests.builders import SMALL, SMALL_MOVIES, dataset_in, ratings_file, sequences, write_ml1m
from tests.training_helpers import (
    SMALL_SET,
    assert_clear_failure,
    assert_same_state,
    environment,
    json_of,
    run_cli,
    run_here,
    save_untrained,
    sizes_for,
    small_model,
    started_cli,
)
from tests.waiting import wait_until

MASKINGS = ["none", "window", "history"]
METRICS = {"hr", "mrr", "map", "ndcg", "duplication/window", "duplication/history"}
METRICS |= {"novelty", "popularity", "diversity/genre"}
CATALOGUE = {"coverage", "gini"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Root, Dataset]:
    """A root with runs `one` and `other`, both trained for an epoch, and their dataset; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("place")
    root, dataset = Root(folder / "root"), dataset_in(folder / "small")
    small = ["--preset", "baseline", "--set", "num_epochs=1", *SMALL_SET, "--data", dataset.source, "--device", "cpu"]
    for seed, run_id in enumerate(("one", "other")):
        result = run_cli(root.path, "train", *small, f"name=Run {run_id}", f"seed={seed}", "--run-id", run_id)
        assert result.returncode == 0, result.stderr
    return root, dataset


@pytest.fixture
def root(place: tuple[Root, Dataset]) -> Root:
    return place[0]


@pytest.fixture
def data(place: tuple[Root, Dataset]) -> Path:
    return place[1].source


@pytest.fixture
def new_root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def assert_results(document: Any, runs: list[str], cutoffs: list[int]) -> None:
    """The shape that evaluate and compare share."""
    assert set(document) >= {"protocol", "results"}
    assert set(document["protocol"]) >= {"dataset", "fingerprint", "split", "cases", "recent", "item_set", "ties"}
    found = [(result["run"], result["masking"]) for result in document["results"]]
    assert found == [(run, masking) for run in runs for masking in MASKINGS]
    for result in document["results"]:
        assert set(result) >= {"run", "checkpoint", "masking", "cases", "metrics"}
        assert set(result["metrics"]) == {f"{name}@{k}" for name in METRICS for k in cutoffs}
        for metric in result["metrics"].values():
            assert metric["low"] <= metric["mean"] <= metric["high"]


def test_data_info_counts_in_words_and_in_json(data: Path, new_root: Root) -> None:
    document = json_of(run_cli(new_root.path, "data", "info", data, "--json"))
    assert (document["name"], document["users"], document["items"]) == ("small", 30, 40)
    assert document["interactions"] == len(sequences())
    assert len(document["fingerprint"]) == 16
    words = run_cli(new_root.path, "data", "info", data)
    assert words.returncode == 0
    assert "users: 30" in words.stdout
    power = document["power"]
    assert power["users"] == 30 and 0 < power["detectable"] < power["detectable_corrected"]
    assert power["comparisons"] == 3 + len(BASELINES.names()) and power["measured_on"][0] == "baseline:popularity"
    assert f"power: 30 test users show differences in NDCG@10 from {power['detectable']:.4f} on" in words.stdout


def test_repeated_rows_are_warned_of_until_somebody_says_what_they_are(new_root: Root, tmp_path: Path) -> None:
    rows = sequences()
    data = write_ml1m(tmp_path / "twice", [*rows, *rows])
    asked = run_here(new_root.path, "data", "info", data, "--json")
    assert json_of(asked)["repeated_rows"] == len(rows)
    assert "as if the file had been appended to itself" in asked.stderr
    said = run_here(new_root.path, "data", "info", data, "--repeats", "drop", "--json")
    assert (json_of(said)["interactions"], json_of(said)["repeats"], said.stderr) == (len(rows), "drop", "")


def test_ties_in_time_are_counted_and_broken_as_asked(root: Root) -> None:
    document = json_of(run_here(root.path, "evaluate", "one", "--time-ties", "as_set", "--k", "10", "--json"))
    assert (document["protocol"]["time_ties"], document["protocol"]["time_tied"]) == ("as_set", 0)
    assert "recall@10" in document["results"][0]["metrics"]
    wrong = run_here(root.path, "evaluate", "one", "--split", "random_windows", "--time-ties", "as_set")
    assert_clear_failure(wrong, 2, "'as_set' cannot be under random_windows; allowed there: file, hash")


def test_evaluate_prints_one_json_document_in_the_agreed_shape(root: Root) -> None:
    document = json_of(run_cli(root.path, "evaluate", "one", "other/last", "--k", "10,3", "--json"))
    assert_results(document, ["one", "other"], [3, 10])
    assert [result["checkpoint"] for result in document["results"]] == ["best"] * 3 + ["last"] * 3
    assert all(result["trained_on"] == 0 and result["cases"] == 30 for result in document["results"])
    assert document["protocol"]["split"] == {"name": "leave_last_out"}


def test_evaluate_prints_a_table_for_people(root: Root) -> None:
    result = run_here(root.path, "evaluate", "one", "--mask", "none")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["Run", "one"]
    assert {line.split()[0] for line in lines if "@" in line} == {
        f"{name}@{k}" for name in METRICS | CATALOGUE for k in (3, 5, 10)
    }
    assert any("masking: none" in line for line in lines)


def test_evaluate_under_another_split_says_so(root: Root, data: Path) -> None:
    document = json_of(
        run_here(root.path, "evaluate", "one", "--split", "random_windows", "--k", "5", "--data", data, "--json")
    )
    assert_results(document, ["one"], [5])
    assert document["protocol"]["split"]["name"] == "random_windows"
    assert document["protocol"]["item_set"] == "tokens"
    assert document["results"][0]["trained_on"] > 0


def test_evaluate_takes_a_file_by_its_path(root: Root, data: Path) -> None:
    by_path, by_name = (
        json_of(run_here(root.path, "evaluate", name, "--data", data, "--json"))
        for name in (root.model("one") / "best.safetensors", "one")
    )
    assert by_path == by_name


def test_compare_in_json_has_differences_beside_the_means_of_all_but_the_baseline(root: Root) -> None:
    document = json_of(
        run_here(
            root.path, "compare", "one", "other", "--no-join-seeds", "--no-baselines", "--format", "json", "--k", "10"
        )
    )
    assert_results(document, ["one", "other"], [10])
    for result in document["results"]:
        for metric in result["metrics"].values():
            assert ("difference" in metric) == (result["run"] == "other")
            if "difference" in metric:
                assert set(metric["difference"]) >= {"mean", "low", "high"}


def test_compare_takes_its_differences_to_the_run_that_is_named(root: Root) -> None:
    for runs in (["one", "other"], ["one"]):
        arguments = [
            "compare",
            *runs,
            "--no-join-seeds",
            "--no-baselines",
            "--baseline",
            "other",
            "--format",
            "json",
            "--k",
            "10",
        ]
        document = json_of(run_here(root.path, *arguments))
        with_difference = {r["run"] for r in document["results"] if "difference" in r["metrics"]["hr@10"]}
        assert with_difference == {"one"}


@pytest.mark.parametrize("kind", ["table", "markdown", "csv", "latex"])
def test_compare_prints_every_format(root: Root, kind: str) -> None:
    result = run_here(
        root.path, "compare", "one", "other", "--no-join-seeds", "--no-baselines", "--format", kind, "--k", "5,10"
    )
    assert result.returncode == 0, result.stderr
    text = result.stdout
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == 2 * len(MASKINGS) * len(METRICS | CATALOGUE) * 2
        assert {row["run"] for row in rows} == {"one", "other"}
        for row in rows:
            if row["metric"].split("@")[0] in METRICS:
                assert float(row["low"]) <= float(row["mean"]) <= float(row["high"])
            assert bool(row["difference"]) == (row["run"] == "other")
        return
    assert all(f"{name}@{k}" in text.replace("\\", "") for name in METRICS for k in (5, 10))
    assert "Δ" in text or "Delta" in text
    lines = text.strip().splitlines()
    if kind == "markdown":
        assert {line.count("|") for line in lines if line.startswith("|")} == {4}
        assert lines[0].split() == ["|", "|", "Run", "one", "|", "Run", "other", "|"]
    if kind == "latex":
        assert (lines[0], lines[-1]) == (r"\begin{table}", r"\end{table}")
        assert all(line.count(" & ") == 2 for line in lines if line.endswith(r"\\"))
        assert "_" not in text.replace(r"\_", "")


def test_compare_puts_its_formats_in_agreement(root: Root) -> None:
    document = json_of(run_here(root.path, "compare", "one", "--format", "json", "--k", "10"))
    rows = csv.DictReader(io.StringIO(run_here(root.path, "compare", "one", "--format", "csv", "--k", "10").stdout))
    expected: dict[tuple[str, str], float] = {}
    for result in document["results"]:
        expected |= {(result["masking"], name): metric["mean"] for name, metric in result["metrics"].items()}
        expected |= {(result["masking"], name): entry["value"] for name, entry in result["catalogue"].items()}
    assert {(row["masking"], row["metric"]): float(row["mean"]) for row in rows} == expected


def test_recommend_prints_the_agreed_json_for_every_model(root: Root, place: tuple[Root, Dataset]) -> None:
    dataset = place[1]
    document = json_of(run_here(root.path, "recommend", "one", "other/last", "--user", 101, "--k", 7, "--json"))
    history = dataset.item_ids[dataset.history(0)].tolist()
    assert (document["user"], document["window"], document["target"]) == (101, history[-6:-1], history[-1])
    assert [model["run"] for model in document["models"]] == ["one", "other"]
    for model in document["models"]:
        assert 1 <= model["target_rank"] <= 40
        assert [item["rank"] for item in model["items"]] == list(range(1, 8))
        for item in model["items"]:
            assert set(item) >= {"rank", "item_id", "title", "score", "hit", "repeat_window", "seen"}
            assert item["hit"] == (item["item_id"] == history[-1])
            assert not item["seen"]
            assert 0 < item["score"] < 1


def test_recommend_with_nothing_masked_shows_what_was_seen(root: Root) -> None:
    arguments = ["recommend", "one", "--user", 101, "--k", 40, "--mask", "none"]
    document = json_of(run_here(root.path, *arguments, "--json"))
    items = document["models"][0]["items"]
    assert sum(item["repeat_window"] for item in items) == 5
    words = run_here(root.path, *arguments)
    assert words.stdout.count("repeat_window") == 5
    assert "the held-out movie has rank" in words.stdout


def test_recommend_answers_what_if_with_the_same_lists_for_the_users_own_window(root: Root) -> None:
    own = json_of(run_here(root.path, "recommend", "one", "other/last", "--user", 101, "--mask", "none", "--json"))
    movies = ",".join(map(str, own["window"]))
    arguments = ["recommend", "one", "other/last", "--user", 101, "--items", movies, "--mask", "none", "--json"]
    made_up = json_of(run_here(root.path, *arguments))
    assert (made_up["user"], made_up["window"], made_up["target"]) == (101, own["window"], None)
    for here, there in zip(own["models"], made_up["models"], strict=True):
        assert [item["item_id"] for item in here["items"]] == [item["item_id"] for item in there["items"]]
        assert there["target_rank"] is None
        assert not any(item["hit"] for item in there["items"])


def test_recommend_asks_for_nobody_after_movies_and_explains_one(root: Root) -> None:
    arguments = ["recommend", "one", "other", "--movies", "10,31", "--why", 17]
    document = json_of(run_here(root.path, *arguments, "--json"))
    assert (document["user"], document["window"], document["why"]["item_id"]) == (None, [10, 31], 17)
    assert [pair["models"] for pair in document["overlap"]] == [[0, 1]]
    words = run_here(root.path, *arguments).stdout.splitlines()
    assert words[0] == "one: after these movies"
    reasons = [reason for model in document["models"] for reason in model["why"]["reasons"]]
    assert [reason["item_id"] for reason in reasons] == [10, 31, 10, 31]
    for reason, line in zip(reasons, [line for line in words if "without" in line], strict=True):
        assert line.strip().startswith(f"without {reason['title']}: rank {reason['rank_without']},")
        assert line.endswith(f"({reason['lift']:+.3f} log-probability with it)")


def test_recommend_takes_an_empty_window(root: Root) -> None:
    document = json_of(run_here(root.path, "recommend", "one", "--movies", "", "--json"))
    assert document["window"] == []
    assert document["models"][0]["why"]["reasons"] == []
    assert len(document["models"][0]["items"]) == 10


def test_import_makes_a_run_of_a_file_made_elsewhere(new_root: Root, data: Path, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "copy")
    model = small_model(sizes_for(dataset))
    torch.save({f"_orig_mod.{key}": value for key, value in model.state_dict().items()}, tmp_path / "model.pth")
    with SummaryWriter(str(tmp_path / "events")) as writer:
        writer.add_scalar("loss/train", 0.5, 1)
    (events,) = (tmp_path / "events").iterdir()
    arguments = ["import", tmp_path / "model.pth", "--events", events, "--name", "mine", "--data", data]
    result = run_here(new_root.path, *arguments, "--set", "model.num_heads=2")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "mine: movie_transformer, 40 items, 30 users\n"
    assert_same_state(read_state(new_root.model("mine") / "best.safetensors"), model.state_dict())
    (run,) = json_of(run_here(new_root.path, "runs", "--json"))
    assert (run["run_id"], run["state"], run["checkpoints"]) == ("mine", "imported", ["best"])
    assert run["config"]["model"]["num_heads"] == 2
    document = json_of(run_here(new_root.path, "evaluate", "mine", "--json"))
    assert {result["trained_on"] for result in document["results"]} == {None}
    assert "unknown: probably leaks" in run_here(new_root.path, "evaluate", "mine").stdout
    again = run_here(new_root.path, *arguments)
    assert_clear_failure(again, 2, "'mine' exists already")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "model.num_heads=3"], "num_heads"),
        (["--set", "num_heads=2"], "num_heads"),
        (["--set", "model.name=other"], "other"),
        (["--set", "model.depth=2"], "depth"),
        (["--events", "nothing.tfevents"], "nothing.tfevents"),
    ],
)
def test_an_import_that_cannot_be_right_is_refused_and_leaves_nothing(
    new_root: Root, tmp_path: Path, words: list[str], told: str
) -> None:
    torch.save(small_model(sizes_for(dataset_in(tmp_path / "copy"))).state_dict(), tmp_path / "model.pth")
    result = run_here(new_root.path, "import", tmp_path / "model.pth", "--name", "mine", *words)
    assert_clear_failure(result, 2, told)
    assert not new_root.runs.exists()
    assert not new_root.models.exists()


def test_an_import_of_what_is_no_checkpoint_leaves_nothing(new_root: Root, tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"<html>not found</html>")
    result = run_here(new_root.path, "import", tmp_path / "model.pth", "--name", "mine")
    assert_clear_failure(result, 1, "no PyTorch checkpoint")
    assert not new_root.models.exists()


def test_an_import_of_weights_for_another_dataset_leaves_nothing(new_root: Root, data: Path, tmp_path: Path) -> None:
    other = dataset_in(tmp_path / "other", sequences(num_users=7))
    torch.save(small_model(sizes_for(other)).state_dict(), tmp_path / "model.pth")
    arguments = ["--name", "mine", "--data", data, "--set", "model.num_heads=2"]
    result = run_here(new_root.path, "import", tmp_path / "model.pth", *arguments)
    assert_clear_failure(result, 1, "40 movies and 7 users", "Use it with the dataset")
    assert not new_root.models.exists()


def test_runs_lists_and_shows_in_words_and_in_json(root: Root) -> None:
    listed = json_of(run_here(root.path, "runs", "--json"))
    assert {run["run_id"] for run in listed} == {"one", "other"}
    shown = json_of(run_here(root.path, "runs", "show", "one", "--json"))
    assert shown in listed
    assert (shown["state"], shown["name"], shown["epoch"], shown["num_epochs"]) == ("finished", "Run one", 1, 1)
    assert shown["checkpoints"] == ["best", "last"]
    assert "metric/ndcg@10" in shown["metrics"]
    words = run_here(root.path, "runs")
    assert sorted(line.split()[:2] for line in words.stdout.splitlines()) == [
        ["one", "finished"],
        ["other", "finished"],
    ]
    assert "state: finished" in run_here(root.path, "runs", "show", "one").stdout


def test_without_runs_the_list_is_empty_and_tells_how_to_begin(new_root: Root) -> None:
    assert json_of(run_here(new_root.path, "runs", "--json")) == []
    words = run_here(new_root.path, "runs")
    assert words.returncode == 0
    assert "no runs yet" in words.stdout


def test_a_run_with_a_damaged_record_is_named_and_does_not_hide_the_others(new_root: Root, tmp_path: Path) -> None:
    save_untrained(new_root, "good", dataset_in(tmp_path / "copy"))
    new_root.run("broken").mkdir(parents=True)
    (new_root.run("broken") / "status.json").write_text('{"state": ')
    result = run_here(new_root.path, "runs", "--json")
    assert [run["run_id"] for run in json_of(result)] == ["good"]
    assert result.stderr.startswith("broken: ")
    assert "status.json is damaged" in result.stderr


def test_runs_stop_lets_a_run_save_and_end(new_root: Root, data: Path) -> None:
    train = ["--preset", "baseline", "--set", "batch_size=1", "num_epochs=10000", *SMALL_SET, "--device", "cpu"]
    with started_cli(new_root.path, "train", *train, "--data", data, "--run-id", "long") as process:
        wait_until(
            lambda: new_root.run("long").exists() and find_run(new_root, "long").state.name == "running", "a step"
        )
        result = run_cli(new_root.path, "runs", "stop", "long")
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("long: saved and stopped in epoch ")
        assert process.wait(timeout=60) == 0
    assert find_run(new_root, "long").state.name == "stopped"
    assert (new_root.model("long") / "last.pt").is_file()
    assert_clear_failure(run_cli(new_root.path, "runs", "stop", "long"), 1, "not running")


def test_ctrl_c_saves_and_stops(new_root: Root, data: Path) -> None:
    train = ["--preset", "baseline", "--set", "batch_size=1", "num_epochs=10000", *SMALL_SET, "--device", "cpu"]
    with started_cli(new_root.path, "train", *train, "--data", data, "--run-id", "long") as process:
        wait_until(
            lambda: new_root.run("long").exists() and find_run(new_root, "long").state.name == "running", "a step"
        )
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert said.splitlines()[-1] == "long: stopped"
    assert (new_root.model("long") / "last.pt").is_file()


@pytest.mark.parametrize("form", ["before", "after", "equals", "within"])
def test_the_root_may_be_named_anywhere_on_the_line(root: Root, new_root: Root, form: str) -> None:
    arguments: list[object] = {
        "before": ["--root", root.path, "runs", "--json"],
        "after": ["runs", "--json", "--root", root.path],
        "equals": ["runs", f"--root={root.path}", "--json"],
        "within": ["runs", "--root", root.path, "show", "one", "--json"],
    }[form]
    document = json_of(run_cli(new_root.path, *arguments))
    found = [document] if form == "within" else document
    assert "one" in {run["run_id"] for run in found}


def test_a_relative_root_is_taken_from_where_the_command_runs(root: Root, tmp_path: Path) -> None:
    options = {"cwd": root.path.parent, "env": environment(tmp_path, PYTHONPATH=str(PROJECT))}
    assert len(json_of(run_cli(tmp_path, "--root", root.path.name, "runs", "--json", **options))) == 2


def config_file(folder: Path, text: str) -> Path:
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder / "config.yaml"


def test_a_configuration_with_several_faults_tells_them_all(new_root: Root, data: Path, tmp_path: Path) -> None:
    text = "num_epochs: many\nlearning_rat: 0.1\nmodel: {name: movie_transformer, num_heads: 5}\n"
    result = run_here(new_root.path, "train", "--config", config_file(tmp_path, text), "--data", data)
    told = [
        "3 faults",
        "num_epochs = 'many'",
        "a whole number",
        "did you mean learning_rate?",
        "num_heads = 5 does not",
    ]
    assert_clear_failure(result, 2, *told)
    assert not new_root.runs.exists()


@pytest.mark.parametrize("run_id", ["../x", "/tmp/x", "Upper", "", "a" * 81])
def test_a_run_id_that_is_no_name_is_refused(new_root: Root, data: Path, tmp_path: Path, run_id: str) -> None:
    arguments = ["train", "--preset", "baseline", "--data", data, f"--run-id={run_id}"]
    assert_clear_failure(run_here(new_root.path, *arguments), 2, f"run id {run_id!r} is not allowed")
    assert not new_root.path.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"root"}


WRONG: list[tuple[list[object], int, str]] = [
    (["evaluate", "one", "--k", "0"], 2, "k = 0 is not allowed: use whole numbers from 1 to 20"),
    (["evaluate", "one", "--k", "21"], 2, "k = 21"),
    (["evaluate", "one", "--k", "3;5"], 2, "write whole numbers with commas between"),
    (
        ["evaluate", "one", "--split", "no_such_split"],
        2,
        "split: there is no 'no_such_split'; allowed: global_temporal, leave_last_out, random_windows",
    ),
    (
        ["evaluate", "one", "--split", "as_given"],
        2,
        "split: there is no 'as_given' of small, which did not come split; allowed: global_temporal",
    ),
    (["evaluate", "on"], 2, "runs of nearly that name: one"),
    (["evaluate", "one", "--data", "no-such-folder"], 1, "no-such-folder is not a folder"),
    (["evaluate", "one", "--device", "tpu"], 2, "device 'tpu' is not known"),
    (["evaluate", "one", "--device", "cuda:99"], 1, "Use --device auto or --device cpu"),
    (["compare", "one", "--baseline", "nothing"], 2, "'nothing' is neither a run"),
    (["recommend", "one", "--user", "7"], 2, "user 7 is not in small; its user ids go from 101 to 188"),
    (["recommend", "one", "--user", "101", "--k", "0"], 2, "k = 0 is not allowed"),
    (["recommend", "one", "--items", "10,9999"], 2, "movie 9999 is not in small; its movie ids go from 10 to 283"),
    (["recommend", "one", "--items", "10,x"], 2, "movie x is not in small; its movie ids go from 10 to 283"),
    (["recommend", "one", "--items", ",".join(["10"] * 201)], 2, "201 movies are too many: name at most 200"),
    (["recommend", "one", "--user", "101", "--why", "9"], 2, "movie 9 is not in small"),
    (["recommend", "one", "--user", "me"], 2, "user me is not in small; its user ids go from 101 to 188"),
    (["runs", "show", "nothing"], 2, "there is no run 'nothing'"),
    (["runs", "show", "../one"], 2, "run id '../one' is not allowed"),
    (["runs", "stop", "one"], 1, "is not running"),
    (["train", "--preset", "baselin", "--data", "."], 2, "allowed: baseline"),
    (["train", "--preset", "baseline"], 2, "--data DIR is missing"),
    (["train", "--data", "."], 2, "nothing says which configuration to train. Name --preset"),
    (["train", "--config", "no-such.yaml", "--data", "."], 2, "no-such.yaml could not be read"),
    (["train", "--preset", "baseline", "--set", "num_epochs", "--data", "."], 2, "write key=value"),
    (["train", "--preset", "baseline", "--set", "num_epochs=yes", "--data", "."], 2, "num_epochs = True"),
    (["train", "--resume", "one", "--preset", "baseline"], 2, "--resume goes alone"),
    (["train", "--preset", "baseline", "--data", "no-such-folder"], 1, "no-such-folder: there is no such folder"),
    (["data", "info", "no-such-folder"], 1, "no-such-folder is not a folder"),
    (["import", "no-such.pth", "--name", "new"], 1, "no-such.pth does not exist"),
    (["import", "no-such.pth", "--name", "../new"], 2, "run id '../new' is not allowed"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "told"), WRONG, ids=[" ".join(map(str, arguments)) for arguments, _, _ in WRONG]
)
def test_a_mistake_is_one_clear_message(root: Root, arguments: list[object], code: int, told: str) -> None:
    assert_clear_failure(run_here(root.path, *arguments), code, told)


def test_a_process_ends_with_the_code_of_its_mistake_and_one_line(root: Root) -> None:
    assert_clear_failure(run_cli(root.path, "runs", "show", "on"), 2, "there is no run 'on'")
    assert_clear_failure(run_cli(root.path, "runs", "stop", "one"), 1, "is not running")
    assert_clear_failure(run_cli(root.path, "evaluate", "one", "--k", "0"), 2, "k = 0 is not allowed")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["evaluate"],
        ["evaluate", "one", "--nothing"],
        ["recommend", "one"],
        ["compare", "one", "--format", "word"],
        ["evaluate", "one", "--mask", "all"],
        ["data", "fetch"],
        ["--root"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_two_and_shows_how_it_is_used(root: Root, arguments: list[str]) -> None:
    result = run_cli(root.path, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Usage:" in result.stderr or "requires an argument" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [["data", "info"], ["evaluate", "one", "--data"]], ids=" ".join)
def test_a_ratings_file_cut_in_the_middle_of_a_line_is_named_with_its_line(
    root: Root, tmp_path: Path, command: list[str]
) -> None:
    data = write_ml1m(tmp_path / "cut", sequences())
    content = ratings_file(data).read_bytes()
    ratings_file(data).write_bytes(content[:-5])
    lines = content.count(b"\n")
    assert_clear_failure(run_here(root.path, *command, data), 1, f"ratings.dat, line {lines}", "cut")


def test_a_movie_without_a_year_can_be_recommended(new_root: Root, tmp_path: Path) -> None:
    data = write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES | {30: ("Misérables, Les", None, ["Drama"])})
    save_untrained(new_root, "run", read_dataset(data), window=2)
    result = run_here(new_root.path, "recommend", "run", "--user", "2", "--data", data, "--mask", "none")
    assert result.returncode == 0, result.stderr
    assert "Misérables, Les  0." in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error(root: Root) -> None:
    with started_cli(root.path, "compare", "one", "--format", "json") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


def test_help_names_every_command(new_root: Root) -> None:
    result = run_here(new_root.path, "--help")
    assert result.returncode == 0
    for command in ("data", "train", "evaluate", "compare", "recommend", "import", "runs"):
        assert command in result.stdout


def test_json_on_standard_output_is_the_whole_of_it_also_when_all_must_be_computed(
    new_root: Root, data: Path, tmp_path: Path
) -> None:
    save_untrained(new_root, "run", dataset_in(tmp_path / "copy"))
    env = environment(new_root.path, PYTHONWARNINGS="always")
    result = run_cli(new_root.path, "evaluate", "run", "--data", data, "--json", env=env)
    assert set(json.loads(result.stdout)) == {"protocol", "split_facts", "results", "looks_at_test"}


def test_a_baseline_cannot_be_asked_for_recommendations_and_that_is_what_is_said(tmp_path: Path) -> None:
    result = run_here(tmp_path, "recommend", "baseline:markov", "--user", 1)
    assert_clear_failure(result, 2, "baseline:markov is counted from the data and has no checkpoint")
