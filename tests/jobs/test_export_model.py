"""A model exported: its folder stands by itself, its example says what the app says, its card what was stored."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from recformer.checkpoint.load import load
from recformer.data.cache import load as load_dataset
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.files.names import PROJECT
from recformer.run.model_ref import find_model
from recformer.run.paths import Root
from tests.shop_files import write_shop
from tests.training_helpers import (
    assert_clear_failure,
    assert_same_state,
    environment,
    json_of,
    run_here,
    small_config,
    train_here,
)

FILES = ["README.md", "config.json", "example.py", "item_ids.json", "model.safetensors"]
SASREC = {"name": "sasrec", "width": 16, "num_layers": 1, "num_heads": 1}
CONFIGS: dict[str, dict[str, Any]] = {
    "trained": {},
    "sasrec": {"model": SASREC, "window": 20, "engine": "eager"},
    "ridge": {"model": "ridge"},
    "blend": {"model": {"name": "blend", "parts": ["ridge", "trained"]}},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A shop whose codes begin with zeros, and a run of each kind."""
    root = Root(tmp_path_factory.mktemp("export") / "root")
    files = write_shop(root.path.parent / "files")
    columns = ["--user", "Kunde", "--item", "Artikelnr", "--time", "Wann"]
    json_of(run_here(root.path, "data", "add", files / "verkauf.csv", *columns, "--name", "shop", "--json"))
    for run_id, config in CONFIGS.items():
        train_here(root, run_id, load_dataset(root.data / "shop", root.data / ".cache"), small_config(**config))
    return root


def exported(root: Root, to: Path, model: object, *more: str) -> Path:
    said = json_of(run_here(root.path, "export", model, "--to", to, *more, "--json"))
    assert said == {"files": [str(to / name) for name in FILES]}
    assert sorted(path.name for path in to.iterdir()) == FILES
    return to


def example(folder: Path, *items: str) -> subprocess.CompletedProcess[str]:
    """The folder's example in a process of its own, away from the root."""
    return subprocess.run(
        [sys.executable, folder / "example.py", *items],
        env=environment(folder / "nowhere", PYTHONPATH=str(PROJECT)),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("model", CONFIGS)
def test_the_example_says_what_the_app_says(root: Root, tmp_path: Path, model: str) -> None:
    folder = shutil.move(exported(root, tmp_path / "model", model), tmp_path / "elsewhere")
    items = ["000007", "000031", "000002"]
    said = example(folder, *items)
    assert said.returncode == 0, said.stderr
    document = json_of(run_here(root.path, "recommend", model, "--items", ",".join(items), "--json"))
    expected = document["models"][0]["items"]
    found = [line.split("\t") for line in said.stdout.splitlines()]
    assert [(int(rank), item) for rank, item, _ in found] == [(one["rank"], one["item_id"]) for one in expected]
    assert [float(score) for _, _, score in found] == pytest.approx([one["score"] for one in expected], abs=1e-5)


def test_the_example_is_short_and_tells_of_an_id_that_is_not_there(root: Root, tmp_path: Path) -> None:
    folder = exported(root, tmp_path / "model", "ridge")
    assert len((folder / "example.py").read_text().splitlines()) <= 35
    said = example(folder, "7", "000007")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.strip() == "not among item_ids.json: 7"


def test_the_weights_are_the_runs_and_can_be_evaluated_as_a_file(root: Root, tmp_path: Path) -> None:
    folder = exported(root, tmp_path / "model", "trained")
    states = [load(path)[0].state_dict() for path in (find_model(root, "trained").path, folder / "model.safetensors")]
    assert_same_state(*states)
    words = ["--data", "shop", "--json"]
    file, run = (
        json_of(run_here(root.path, "evaluate", model, *words)) for model in (folder / "model.safetensors", "trained")
    )
    means = [[one["metrics"]["ndcg@10"]["mean"] for one in document["results"]] for document in (file, run)]
    assert means[0] == means[1]
    config = json.loads((folder / "config.json").read_text())
    assert config["model"]["name"] == config["settings"]["model"]["name"] == "movie_transformer"
    ids = json.loads((folder / "item_ids.json").read_text())
    assert ids == sorted(set(ids)) and all(re.fullmatch("[0-9]{6}", item) for item in ids)
    assert config["sizes"]["num_tokens"] == len(ids) + 2


def test_nothing_of_users_or_of_this_machine_is_in_the_folder(root: Root, tmp_path: Path) -> None:
    start = find_model(root, "trained").path
    dataset = load_dataset(root.data / "shop", root.data / ".cache")
    train_here(root, "further", dataset, small_config(), init_from=str(start))
    for path in exported(root, tmp_path / "model", "further").iterdir():
        content = path.read_bytes()
        assert b"K-00" not in content and str(root.path).encode() not in content, path


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
    """The block that model hubs read, and the text below it."""
    _, block, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(block), text


def test_the_card_holds_what_is_stored_and_the_test_only_once_it_was_looked_at(root: Root, tmp_path: Path) -> None:
    block, text = card_of(exported(root, tmp_path / "before", "sasrec"))
    assert block["library_name"] == "recformer" and block["datasets"] == ["shop"] and "sasrec" in block["tags"]
    (result,) = block["model-index"][0]["results"]
    assert result["dataset"] == {"type": "shop", "name": "shop", "split": "validation", "config": "leave_last_out"}
    document = json_of(run_here(root.path, "evaluate", "sasrec", "--k", "10,20", "--json"))
    (expected,) = [one for one in document["results"] if one["masking"] == "history"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    for name in ("ndcg@10", "hr@20", "mrr@10"):
        assert values[name] == pytest.approx(expected["metrics"][name]["mean"], abs=1e-6)
        assert f"| {name} | {values[name]:.4f} |" in text
    assert "### On the validation part of leave_last_out" in text and "On the test part" not in text
    assert "It was trained on the training part of `leave_last_out`; these are the weights of epoch 1." in text
    assert "Of these 30 cases the model was trained on 0 and chosen by 30." in text
    assert "ranked among all items · masking: history" in text
    assert not re.search(r"\n\n\n|None|\{\{", text)
    evaluate(
        root,
        find_model(root, "sasrec"),
        Task(load_dataset(root.data / "shop", root.data / ".cache"), split_of("leave_last_out"), "test"),
    )
    block, text = card_of(exported(root, tmp_path / "after", "sasrec"))
    assert [one["dataset"]["split"] for one in block["model-index"][0]["results"]] == ["validation", "test"]
    assert text.index("On the validation part") < text.index("On the test part")


def test_without_an_evaluation_the_card_says_so(root: Root, tmp_path: Path) -> None:
    file = exported(root, tmp_path / "once", "ridge") / "model.safetensors"
    block, text = card_of(exported(root, tmp_path / "again", file, "--data", "shop"))
    assert "model-index" not in block
    assert "No evaluation of these weights was stored when this was written." in text


def test_what_cannot_be_exported_is_told_and_leaves_nothing(root: Root, tmp_path: Path) -> None:
    to = tmp_path / "model"
    told = "is counted from the data and has no checkpoint"
    assert_clear_failure(run_here(root.path, "export", "baseline:ease", "--to", to, "--data", "shop"), 2, told)
    assert_clear_failure(run_here(root.path, "export", "ridg", "--to", to), 2, "runs of nearly that name: ridge")
    assert not to.exists()
    to.mkdir()
    assert_clear_failure(run_here(root.path, "export", "ridge", "--to", to), 2, "is there already")
    assert not list(to.iterdir()) and [path.name for path in tmp_path.iterdir()] == ["model"]
