"""Training with the real command line in real processes: whole runs, exact resume, and how it fails."""

import re
import resource
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from recformer.checkpoint.load import load, read_info
from recformer.checkpoint.weights import read_archive, read_state
from recformer.config import override, parse
from recformer.errors import JobError, UsageError
from recformer.jobs.control import stop
from recformer.jobs.launch import resume, submit
from recformer.run.job_records import read_status
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.run.state import RunState
from recformer.training.changes import check_resume
from recformer.training.loop import DivergedError
from tests.builders import dataset_in, sequences, write_ml1m
from tests.fork_server import fresh_processes
from tests.training_helpers import (
    SMALL_SET,
    TAGS,
    assert_clear_failure,
    assert_same_state,
    assert_same_training,
    curves,
    run_cli,
    run_here,
    save_untrained,
    signal_at_step,
    small_config,
    started_cli,
    train_here,
)
from tests.waiting import wait_until

SMALL_RUN = ["--preset", "baseline", "--set", "batch_size=64", *SMALL_SET, "--device", "cpu"]
# An epoch of some hundred steps that take seconds, so that a signal lands within it: the native engine would be through
# before anybody could look. Its exact resume is tested in test_resume.py, where signals come at a given step.
EPOCHS = 3
EXACT = ["model.dropout=0.3", "schedule=cosine", "schedule_period=2", "engine=eager"]
LONG_RUN = [
    "--preset",
    "baseline",
    "--set",
    "batch_size=4",
    f"num_epochs={EPOCHS}",
    *SMALL_SET,
    *EXACT,
    "--device",
    "cpu",
]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_ml1m(tmp_path / "small", sequences())


@pytest.fixture(scope="module")
def long_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    interactions = sequences(num_users=45, num_items=80, shortest=50, longest=70)
    return write_ml1m(tmp_path_factory.mktemp("data") / "long", interactions)


@pytest.fixture(scope="module")
def uninterrupted(long_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with run `whole`: all epochs in one go."""
    root = tmp_path_factory.mktemp("uninterrupted")
    result = run_cli(root, "train", *LONG_RUN, "--data", long_data, "--run-id", "whole")
    assert result.returncode == 0, result.stderr
    return root


def state_of(root: Root, run_id: str) -> str:
    return find_run(root, run_id).state.name


def position_of(root: Root, run_id: str) -> dict[str, Any]:
    return read_archive(root.model(run_id) / "last.pt")["position"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_of_two_epochs_leaves_its_files_log_and_records(root: Root, data: Path) -> None:
    result = run_cli(root.path, "train", *SMALL_RUN, "num_epochs=2", "--data", data, "--run-id", "run")
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stdout.splitlines() if not line.startswith("compiling the native engine")]
    assert re.fullmatch(r"(native|eager) engine \(.+\) on cpu: [\d,]+ windows/s, [\d.,]+ s an epoch", said[0])
    assert [line.split("  ")[0] for line in said[1:]] == ["epoch 1/2", "epoch 2/2", "run: finished"]
    present = {path.name for path in root.run("run").iterdir()}
    assert {"run.yaml", "job.json", "status.json", "train.log"} <= present
    assert len([name for name in present if name.startswith("events.out.tfevents.")]) == 1
    assert {path.name for path in root.model("run").iterdir()} == {"best.safetensors", "last.pt"}
    found = curves(root.run("run"))
    assert set(found) == TAGS
    assert all(steps == [1, 2] for steps, _ in found.values())
    assert found["lr"][1] == pytest.approx([5e-4, 5e-4])
    assert found["loss/train"][1][1] < found["loss/train"][1][0]
    status = read_status(root.run("run"))
    assert status is not None
    assert (status.state, status.epoch, status.num_epochs, status.step) == ("finished", 2, 2, status.steps)
    assert status.loss == pytest.approx(found["loss/train"][1][1], rel=1e-5)
    log = (root.run("run") / "train.log").read_text().splitlines()
    assert log[: len(result.stdout.splitlines()) - 1] == result.stdout.splitlines()[:-1]
    info = read_info(root.model("run") / "best.safetensors")
    assert (info.run_id, info.dataset and info.dataset["name"], info.imported) == ("run", "small", False)
    assert info.metrics["metric/ndcg@10"] == pytest.approx(max(found["metric/ndcg@10"][1]), rel=1e-5)
    load(root.model("run") / "best.safetensors")


def test_the_same_configuration_trained_twice_gives_the_same_bits(root: Root, data: Path) -> None:
    for run_id, process in (("one", fresh_processes()), ("other", nullcontext())):  # a forked one as well as a started
        with process:
            result = run_cli(root.path, "train", *SMALL_RUN, "num_epochs=2", "--data", data, "--run-id", run_id)
        assert result.returncode == 0, result.stderr
    assert_same_training(root, "one", "other")


def test_another_seed_gives_another_training(root: Root, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "small")
    for seed in (0, 1):
        train_here(root, f"run-{seed}", dataset, small_config(seed=seed))
    states = [read_state(root.model(f"run-{seed}") / "best.safetensors") for seed in (0, 1)]
    assert not (states[0]["user_embedding.weight"] == states[1]["user_embedding.weight"]).any()


def adopt_whole(root: Root, uninterrupted: Path) -> None:
    """Put the uninterrupted run beside the others, so that they can be compared."""
    source = Root(uninterrupted)
    root.run("whole").symlink_to(source.run("whole"))
    root.model("whole").symlink_to(source.model("whole"))


def test_a_run_stopped_twice_in_mid_epoch_ends_with_the_bits_of_one_that_was_not(
    root: Root, long_data: Path, uninterrupted: Path
) -> None:
    total = Root(uninterrupted)
    steps = read_status(total.run("whole")).steps  # type: ignore[union-attr]
    fresh = ["train", *LONG_RUN, "--data", long_data, "--run-id", "run"]
    again = ["train", "--resume", "run", "--device", "cpu"]
    stops: list[tuple[int, int]] = []
    for arguments, step in ((fresh, 1), (again, 2 * steps // 5)):
        with started_cli(root.path, *arguments) as process:
            said = signal_at_step(process, root.run("run"), step, signal.SIGTERM)
            assert process.returncode == 0
        assert said.splitlines()[-1] == "run: stopped"
        assert state_of(root, "run") == "stopped"
        position = position_of(root, "run")
        stops.append((position["epoch"], position["step"]))
    assert stops[0] < stops[1] < (EPOCHS, 0)
    assert stops[0][1] > 0, "the first stop fell between two epochs"
    result = run_cli(root.path, *again)
    assert result.returncode == 0, result.stderr
    assert state_of(root, "run") == "finished"
    adopt_whole(root, uninterrupted)
    assert_same_training(root, "run", "whole")
    assert all(steps == list(range(1, EPOCHS + 1)) for steps, _ in curves(root.run("run")).values())


def test_a_run_killed_twice_ends_with_the_bits_of_one_that_was_not(
    root: Root, long_data: Path, uninterrupted: Path
) -> None:
    steps = read_status(Root(uninterrupted).run("whole")).steps  # type: ignore[union-attr]
    fresh = ["train", *LONG_RUN, "save_minutes=0", "--data", long_data, "--run-id", "run"]
    again = ["train", "--resume", "run", "--device", "cpu"]
    for arguments, step in ((fresh, 3 * steps // 10), (again, steps // 2)):
        with started_cli(root.path, *arguments) as process:
            signal_at_step(process, root.run("run"), step, signal.SIGKILL)
            assert process.returncode == -signal.SIGKILL
        assert state_of(root, "run") == "lost"
        load(root.model("run") / "last.pt")
        load(root.model("run") / "best.safetensors")
    result = run_cli(root.path, *again)
    assert result.returncode == 0, result.stderr
    adopt_whole(root, uninterrupted)
    assert_same_training(root, "run", "whole")
    assert all(steps == list(range(1, EPOCHS + 1)) for steps, _ in curves(root.run("run")).values())


def test_two_epochs_and_two_more_are_four_epochs(root: Root, data: Path) -> None:
    train = ["train", *SMALL_RUN, "--data", data, "--run-id"]
    for arguments in ([*train, "whole", "--set", "num_epochs=4"], [*train, "parts", "--set", "num_epochs=2"]):
        assert run_here(root.path, *arguments).returncode == 0
    result = run_here(root.path, "train", "--resume", "parts", "--set", "num_epochs=4", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert_same_training(root, "whole", "parts")
    assert find_run(root, "parts").config["num_epochs"] == 4


@pytest.mark.parametrize("split", ["random_windows", "global_temporal"])
@pytest.mark.parametrize("loss", ["cross_entropy", "argmax_penalty"])
def test_every_split_trains_with_every_loss(root: Root, tmp_path: Path, split: str, loss: str) -> None:
    config = small_config(split=split, loss=loss, schedule="cosine", schedule_period=1, num_epochs=3)
    assert train_here(root, "run", dataset_in(tmp_path / "small"), config) == "finished"
    rates = curves(root.run("run"))["lr"][1]
    assert rates == pytest.approx([5e-4, 1e-6, 5e-4])


def test_best_by_loss_keeps_the_epoch_of_the_least_validation_loss(root: Root, tmp_path: Path) -> None:
    config = small_config(best_by="loss", num_epochs=4, learning_rate=0.01)
    train_here(root, "run", dataset_in(tmp_path / "small"), config)
    losses = curves(root.run("run"))["loss/validation"][1]
    info = read_info(root.model("run") / "best.safetensors")
    assert info.epoch == losses.index(min(losses)) + 1
    assert losses[-1] > min(losses), "this training should have overfitted"


CHANGES = ["model.dropout=0.5", "loss=argmax_penalty", "split=random_windows", "window=4", "batch_size=32", "seed=1"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_would_make_it_another_run_is_refused_on_resume(change: str) -> None:
    before = small_config()
    name = change.partition("=")[0].partition(".")[0]
    with pytest.raises(UsageError, match=rf"^{name} cannot be changed on resume"):
        check_resume("run", Path("run.yaml"), before, parse(override(before.model_dump(), [change])))
    after = parse(override(before.model_dump(), ["num_epochs=9", "learning_rate=1e-4", "name=other"]))
    check_resume("run", Path("run.yaml"), before, after)


def test_a_refused_resume_leaves_the_run_as_it_was(root: Root, data: Path, tmp_path: Path) -> None:
    train_here(root, "run", dataset_in(tmp_path / "small"), small_config())
    before = [files_of(root.model("run")), (root.run("run") / "run.yaml").read_bytes()]
    result = run_here(root.path, "train", "--resume", "run", "--set", "batch_size=32", "seed=1", "--data", data)
    assert_clear_failure(result, 2, "batch_size, seed cannot be changed on resume", "--init-from")
    assert [files_of(root.model("run")), (root.run("run") / "run.yaml").read_bytes()] == before


def test_other_data_is_refused_on_resume(root: Root, tmp_path: Path) -> None:
    train_here(root, "run", dataset_in(tmp_path / "small"), small_config())
    other = write_ml1m(tmp_path / "other", sequences(seed=1))
    result = run_here(root.path, "train", "--resume", "run", "--set", "num_epochs=2", "--data", other)
    assert_clear_failure(result, 1, "was trained on data with fingerprint")
    assert position_of(root, "run")["epoch"] == 1


def test_what_was_never_trained_cannot_be_resumed(root: Root) -> None:
    assert_clear_failure(
        run_here(root.path, "train", "--resume", "none"), 2, "there is no run 'none'; there are no runs yet"
    )


def test_init_from_begins_at_epoch_zero_with_those_weights(root: Root, data: Path, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "small")
    train_here(root, "first", dataset, small_config(num_epochs=3))
    still = ["--set", "learning_rate=1e-30", "num_epochs=1", "seed=5"]
    arguments = ["train", "--init-from", "first", *still, "--data", data, "--run-id", "second", "--device", "cpu"]
    result = run_here(root.path, *arguments)
    assert result.returncode == 0, result.stderr
    first = read_state(root.model("first") / "best.safetensors")
    assert_same_state(read_state(root.model("second") / "best.safetensors"), first)
    assert all(steps == [1] for steps, _ in curves(root.run("second")).values())
    assert position_of(root, "second")["epoch"] == 1
    assert "init_from: first/best" in (root.run("second") / "run.yaml").read_text()
    assert find_run(root, "second").config["batch_size"] == 64  # the first run's configuration


def test_init_from_weights_of_another_dataset_is_a_clear_failure(root: Root, data: Path, tmp_path: Path) -> None:
    save_untrained(root, "first", dataset_in(tmp_path / "other", sequences(num_users=10)))
    arguments = ["--init-from", "first", "--data", data, "--run-id", "second", "--device", "cpu"]
    result = run_here(root.path, "train", "--set", "num_epochs=1", *arguments)
    assert_clear_failure(result, 1, "do not fit this configuration and dataset", "user_embedding")
    assert state_of(root, "second") == "failed"


def test_a_training_that_diverges_fails_with_a_message_and_keeps_the_checkpoints_before_it(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dataset_in(tmp_path / "small")
    train_here(root, "run", dataset, small_config())
    before = files_of(root.model("run"))
    monkeypatch.setattr("recformer.training.loop.learning_rate", lambda *_: 1e20)  # no configuration may say so
    with pytest.raises(DivergedError, match=r"the loss is nan in epoch 2: training has diverged"):
        train_here(root, "run", dataset, small_config(num_epochs=3), resume=True)
    run = find_run(root, "run")
    assert run.state.name == "failed"
    assert "lower learning rate" in run.state.words
    assert files_of(root.model("run")) == before


def test_weights_that_overflow_are_a_failed_run_with_one_clear_line(root: Root, data: Path, tmp_path: Path) -> None:
    checkpoint = save_untrained(root, "first", dataset_in(tmp_path / "small"))
    state = read_state(checkpoint.path)
    save_file(
        {key: value * 1e30 if value.is_floating_point() else value for key, value in state.items()}, checkpoint.path
    )
    arguments = ["--init-from", "first", "--set", "num_epochs=1", "--data", data, "--device", "cpu"]
    result = run_here(root.path, "train", *arguments, "--run-id", "run")
    # How fast its steps are is printed as soon as it is known, which may be before the loss is looked at.
    result.stdout = ""
    assert_clear_failure(result, 1, "training has diverged")
    assert state_of(root, "run") == "failed"
    assert not root.model("run").exists()


def test_a_gpu_that_is_not_there_is_one_clear_line_and_no_run(root: Root, data: Path) -> None:
    arguments = [*SMALL_RUN[:-2], "--data", data, "--run-id", "run", "--device", "cuda:99"]
    result = run_here(root.path, "train", *arguments)
    assert_clear_failure(result, 1, "'cuda:99' is not there", "--device cpu")
    assert not root.run("run").exists()


def test_of_two_processes_on_one_run_id_one_wins(root: Root, long_data: Path) -> None:
    arguments = ["train", *LONG_RUN, "num_epochs=1", "--data", long_data, "--run-id", "run"]
    with started_cli(root.path, *arguments) as one, started_cli(root.path, *arguments) as other:
        ended = [(*process.communicate(timeout=200), process.returncode) for process in (one, other)]
    won, lost = sorted(ended, key=lambda end: end[2])
    assert won[0].splitlines()[-1] == "run: finished"
    assert lost[2] in (1, 2)
    assert "Traceback" not in lost[1]
    assert lost[1].startswith("error: run 'run' ")
    assert curves(root.run("run"))["loss/train"][0] == [1]
    assert state_of(root, "run") == "finished"


def test_a_run_that_exists_is_not_trained_over(root: Root, data: Path, tmp_path: Path) -> None:
    save_untrained(root, "run", dataset_in(tmp_path / "small"))
    before = files_of(root.model("run"))
    result = run_here(root.path, "train", *SMALL_RUN, "--data", data, "--run-id", "run")
    assert_clear_failure(result, 2, "'run' exists already")
    assert files_of(root.model("run")) == before


def test_a_disk_that_fills_up_fails_the_run_and_keeps_its_checkpoints(root: Root, data: Path) -> None:
    assert run_cli(root.path, "train", *SMALL_RUN, "num_epochs=1", "--data", data, "--run-id", "run").returncode == 0
    before = files_of(root.model("run"))
    limit = min(map(len, before.values())) // 2

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = ["train", "--resume", "run", "--set", "num_epochs=3", "--data", data, "--device", "cpu"]
    result = run_cli(root.path, *arguments, preexec_fn=no_large_files)
    assert result.returncode == 1, result.stderr
    assert "File too large; what was there before is unchanged" in result.stderr
    assert "Traceback" not in result.stderr
    assert state_of(root, "run") == "failed"
    assert files_of(root.model("run")) == before
    load(root.model("run") / "best.safetensors")
    assert run_cli(root.path, *arguments).returncode == 0
    assert position_of(root, "run")["epoch"] == 3


def test_a_dataset_too_small_to_split_is_a_failed_run_that_says_so(root: Root, tmp_path: Path) -> None:
    data = write_ml1m(tmp_path / "tiny", sequences(num_users=2, shortest=2, longest=2))
    result = run_here(root.path, "train", *SMALL_RUN, "--data", data, "--run-id", "run")
    assert_clear_failure(result, 1, "no cases for validation and test", "longer histories")
    assert "no cases for validation and test" in find_run(root, "run").state.words


def test_data_that_cannot_be_read_leaves_no_run_behind(root: Root, data: Path) -> None:
    content = (data / "ratings.dat").read_bytes()
    (data / "ratings.dat").write_bytes(content[: len(content) // 2])
    result = run_here(root.path, "train", *SMALL_RUN, "--data", data)
    assert_clear_failure(result, 1, "ratings.dat, line")
    assert not root.runs.exists()


def ended(root: Root, run_id: str) -> RunState | None:
    """The run's state once its process has gone, None before."""
    run = find_run(root, run_id)
    assert run.job is not None
    return None if run.job.alive else find_run(root, run_id).state


def test_a_submitted_run_trains_by_itself_and_a_resumed_one_goes_on(root: Root, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "small")
    with fresh_processes():
        run_id = submit(root, small_config(name="Submitted run"), dataset, "cpu")
    assert run_id == "submitted-run"
    assert wait_until(lambda: ended(root, run_id), "the end of the run").name == "finished"
    with pytest.raises(JobError, match="not running"):
        stop(root, run_id)
    resume(root, run_id, "cpu", ["num_epochs=2"])
    assert wait_until(lambda: ended(root, run_id), "the second epoch").name == "finished"
    train_here(root, "here", dataset, small_config(name="Submitted run", num_epochs=2))
    assert_same_state(read_state(root.model(run_id) / "last.pt"), read_state(root.model("here") / "last.pt"))


@pytest.mark.parametrize("again", [False, True], ids=["submitted", "resumed"])
def test_a_launched_run_that_cannot_begin_says_why(root: Root, tmp_path: Path, again: bool) -> None:
    dataset = dataset_in(tmp_path / "small")
    if again:
        run_id = submit(root, small_config(), dataset, "cpu")
        wait_until(lambda: ended(root, run_id), "the end of the run")
        resume(root, run_id, "cuda:63", ["num_epochs=2"])
    else:
        run_id = submit(root, small_config(), dataset, "cuda:63")
    state = wait_until(lambda: ended(root, run_id), "the end of the run")
    assert state.name == "failed"
    assert "'cuda:63' is not there" in state.words
    if again:
        resume(root, run_id, "cpu", ["num_epochs=2"])
        assert wait_until(lambda: ended(root, run_id), "the end of the run").name == "finished"
