"""`tensorboard --logdir runs` asked over HTTP: the runs by their ids, their curves, parameters, figures and ends."""

import json
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from recformer.errors import RecformerError
from recformer.logs.by_step import tag_by_step
from recformer.run.paths import Root
from recformer.run.trash import discard, restore
from recformer.training.import_run import adopt
from recformer.training.loop import Training
from tests.builders import dataset_in
from tests.training_helpers import (
    STEP_TAGS,
    TAGS,
    curves,
    sizes_for,
    small_config,
    small_model,
    step_curves,
    train_here,
)
from tests.waiting import wait_until

STATES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
LOADERS = ["true", "false"]  # the data server, and the reader in Python


class TensorBoard:
    """A TensorBoard that listens at `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if body else None
        request = Request(f"{self.address}/data/{path}", data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def tags(self) -> dict[str, set[str]]:
        """Tags of the curves of each run."""
        return {run: set(tags) for run, tags in self.ask("plugin/scalars/tags").items()}

    def experiment(self) -> Any:
        return self.ask("plugin/hparams/experiment", experimentName="", includeMetrics=True)

    def sessions(self) -> dict[str, Any]:
        """What the table of hyper-parameters shows of each run: `hparams`, `metrics` (tag to value), `status`."""
        infos = self.experiment()
        columns = [{"hparam": info["name"], "includeInResult": True} for info in infos["hparamInfos"]]
        columns += [{"metric": info["name"], "includeInResult": True} for info in infos["metricInfos"]]
        groups = self.ask(
            "plugin/hparams/session_groups",
            experimentName="",
            allowedStatuses=STATES,
            colParams=columns,
            startIndex=0,
            sliceSize=100,
        )["sessionGroups"]
        sessions = [(group, session) for group in groups for session in group["sessions"]]
        return {
            session["name"]: {
                "hparams": group["hparams"],
                "metrics": {value["name"]["tag"]: value["value"] for value in session["metricValues"]},
                "status": session["status"],
            }
            for group, session in sessions
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def tensorboard(folder: Path, words: Path, fast: str = "true") -> Generator[TensorBoard]:
    """A TensorBoard of its own process over `folder`, ended with the test; what it says goes to the file `words`."""
    port = free_port()
    options = ["--logdir", folder, "--host", "127.0.0.1", "--port", port, "--reload_interval", 1, "--load_fast", fast]
    arguments = [sys.executable, "-m", "tensorboard.main", *map(str, options)]
    with words.open("wb") as output, subprocess.Popen(arguments, stdout=output, stderr=output) as process:
        board = TensorBoard(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            assert process.poll() is None, words.read_text()
            try:
                return bool(board.ask("runs"))
            except OSError:
                return False

        try:
            wait_until(answers, "TensorBoard to show a run")
            yield board
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Runs of every kind: finished, resumed with another rate, failed, stopped, imported, and one in the bin."""
    root = Root(tmp_path_factory.mktemp("root"))
    dataset = dataset_in(tmp_path_factory.mktemp("data") / "small")
    train_here(root, "plain", dataset, small_config(num_epochs=2))
    train_here(root, "resumed", dataset, small_config(learning_rate=0.5, num_epochs=1, name="Resumed"))
    changed = small_config(learning_rate=0.25, num_epochs=3, name="Resumed", loss={"name": "soft_penalty"})
    train_here(root, "resumed", dataset, changed, resume=True)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RecformerError):
        patch.setattr(Training, "run", lambda _: 1 / 0)
        train_here(root, "failed", dataset, small_config())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recformer.training.run._should_stop", lambda *_: True)
        assert train_here(root, "stopped", dataset, small_config()) == "stopped"
    _import(root, tmp_path_factory.mktemp("elsewhere"))
    train_here(root, "deleted", dataset, small_config())
    discard(root, "deleted")
    return root


def _import(root: Root, elsewhere: Path) -> None:
    """A checkpoint and a log made elsewhere, without hyper-parameters."""
    sizes = sizes_for(dataset_in(elsewhere / "data"))
    torch.save(small_model(sizes).state_dict(), elsewhere / "model.pt")
    with SummaryWriter(str(elsewhere / "log")) as writer:
        writer.add_scalar("loss/train", 1.5, 1)
    adopt(root, elsewhere / "model.pt", "imported", list((elsewhere / "log").iterdir()), None, {"num_heads": 2})


@pytest.mark.parametrize("fast", LOADERS)
def test_tensorboard_shows_the_runs_by_their_ids_with_curves_parameters_and_ends(
    root: Root, tmp_path: Path, fast: str
) -> None:
    with tensorboard(root.runs, tmp_path / "words", fast) as board:
        expected = {"plain": TAGS, "resumed": TAGS, "imported": {"loss/train"}}
        expected |= {"plain/by_step": STEP_TAGS, "resumed/by_step": STEP_TAGS}
        wait_until(
            lambda: {run: tags for run, tags in board.tags().items() if tags} == expected,
            f"{expected}, not {board.tags()}",
        )
        runs = {run.removesuffix("/by_step") for run in board.ask("runs")}
        assert runs == {"plain", "resumed", "failed", "stopped", "imported"}
        sessions = board.sessions()
        infos = {info["name"]: info["type"] for info in board.experiment()["hparamInfos"]}

    assert set(sessions) == {"plain", "resumed", "failed", "stopped"}
    assert {run: session["status"] for run, session in sessions.items()} == {
        "plain": "STATUS_SUCCESS",
        "resumed": "STATUS_SUCCESS",
        "failed": "STATUS_FAILURE",
        "stopped": "STATUS_UNKNOWN",
    }
    plain, resumed = sessions["plain"], sessions["resumed"]
    assert plain["hparams"]["model.width"] == 16
    assert plain["hparams"]["model.repeat_bias"] is False
    assert plain["hparams"]["model.hidden_sizes"] == "[16]"
    assert plain["hparams"]["loss.name"] == "cross_entropy"
    assert resumed["hparams"]["learning_rate"] == 0.25
    assert resumed["hparams"]["num_epochs"] == 3
    assert resumed["hparams"]["name"] == "Resumed"
    assert resumed["hparams"]["loss.penalty"] == pytest.approx(resumed_penalty())
    assert infos["learning_rate"] == "DATA_TYPE_FLOAT64"
    assert infos["model.repeat_bias"] == "DATA_TYPE_BOOL"
    assert infos["loss.name"] == "DATA_TYPE_STRING"
    for run in ("plain", "resumed"):
        logged = {tag: values[-1] for tag, (_, values) in curves(root.run(run)).items()}
        logged |= {tag_by_step(tag): values[-1] for tag, (_, values) in step_curves(root.run(run)).items()}
        assert sessions[run]["metrics"] == pytest.approx(logged)


def resumed_penalty() -> float:
    penalty = small_config(loss={"name": "soft_penalty"}).loss.model_dump()["penalty"]
    assert isinstance(penalty, float)
    return penalty


def test_a_run_goes_into_the_bin_and_comes_back_while_tensorboard_looks_on(root: Root, tmp_path: Path) -> None:
    with tensorboard(root.runs, tmp_path / "words") as board:
        entry = discard(root, "plain")
        try:
            wait_until(lambda: "plain" not in board.ask("runs"), "the deleted run to leave")
            assert not [run for run in board.ask("runs") if run.startswith(".")]
        finally:
            restore(root, entry)
        wait_until(lambda: board.sessions().get("plain"), "the restored run to be back")
        assert board.tags()["plain"] == TAGS
