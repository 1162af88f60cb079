"""One training run from its claim to its last word: fresh, resumed, or begun from another run's weights."""

import os
import signal
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.load import read_info
from recformer.checkpoint.weights import check_constants, mend_best_record, read_state
from recformer.config import TrainConfig, dump, parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared
from recformer.data.windows import Windows
from recformer.errors import CheckpointError, EvaluationError, RecformerError, StoreError
from recformer.evaluation.evaluate import Task, evaluate
from recformer.files.writing import remove_leftovers, write_text
from recformer.jobs.launch import LOG_FILE, claim
from recformer.logs import by_step
from recformer.run.paths import Root, find_checkpoint
from recformer.run.provenance import Provenance, write_provenance
from recformer.training.batches import EpochBatches
from recformer.training.heartbeat import Heartbeat
from recformer.training.initialisation import new_model, sizes_of
from recformer.training.loop import Outcome, Training
from recformer.training.resume_state import TrainState
from recformer.training.step_log import StepLog
from recformer.training.tensorboard import TensorBoardWriter
from recformer.training.tensorboard_hparams import log_end, log_start


def fit(
    root: Root,
    run_id: str,
    config: TrainConfig,
    load: Callable[[], Prepared],
    origin: Provenance,
    device: torch.device,
    *,
    arguments: list[str],
    resume: bool = False,
    init_from: Path | None = None,
) -> Outcome:
    """Train run `run_id`; its records, log and checkpoints are written under `root`.

    `load` reads the data once the run is claimed; `arguments` are those of the command line, for the record.
    SIGTERM and Ctrl-C end the step that is going on, save, and give "stopped".
    Raises RecformerError, after saying in status.json why it failed.
    """
    folder = root.run(run_id)
    with claim(root, run_id, arguments, str(device)) as held, _stop_signals() as asked:
        should_stop = partial(_should_stop, folder, asked)
        write_text(folder / "config.yaml", dump(config))
        write_provenance(root, run_id, origin)
        with Heartbeat(folder, device, config.num_epochs, 0, held.record.launch) as heartbeat:
            try:
                heartbeat.update(phase="loading data")
                prepared = load()
                state = _start(config, prepared, device, root.model(run_id), resume, init_from)
                batches = EpochBatches(prepared, config, device)
                done, steps = batches.done(state.position), config.num_epochs * batches.steps
                heartbeat.update(steps=steps, epoch=state.position.epoch, best=state.position.best or None)
                log_start(folder, config)
                with (
                    TensorBoardWriter(folder, state.position.epoch) as writer,
                    _step_writer(folder, done) as step_writer,
                ):
                    if not resume:
                        writer.note("config", dump(config))
                    info = _info(run_id, config, prepared.windows, origin)
                    say = partial(_say, folder / LOG_FILE)
                    training = Training(
                        config,
                        prepared,
                        state,
                        info,
                        root.model(run_id),
                        heartbeat,
                        writer,
                        StepLog(step_writer, state.position),
                        should_stop,
                        say,
                    )
                    outcome = training.run()
                if outcome == "finished":
                    heartbeat.update(phase="evaluating")
                    _evaluate_best(root, run_id, config, prepared.dataset, device, should_stop, training.tell)
            except RecformerError as error:
                log_end(folder, succeeded=False)
                heartbeat.end("failed", error.on_page)
                raise
            except KeyboardInterrupt:
                heartbeat.end("stopped", "Interrupted twice, so it did not save; resume goes on from the save before.")
                raise
            except Exception as error:
                log_end(folder, succeeded=False)
                heartbeat.end("failed", _unexpected(error))
                with suppress(OSError), (folder / LOG_FILE).open("a", encoding="utf-8") as log:
                    traceback.print_exc(file=log)
                raise RecformerError(f"{_unexpected(error)}; the details are in {folder / LOG_FILE}") from error
            if outcome == "finished":  # a stopped run may go on
                log_end(folder, succeeded=True)
            heartbeat.end(outcome)
    return outcome


def _evaluate_best(
    root: Root,
    run_id: str,
    config: TrainConfig,
    dataset: Dataset,
    device: torch.device,
    should_stop: Callable[[], bool],
    tell: Callable[[str], None],
) -> None:
    """Test ranks of the best checkpoint, so that Home and Compare have them at once. Nothing is chosen by them.

    `tell` says in the run's status what its people should know.
    """

    def go_on(*_: int) -> None:
        if should_stop():
            raise EvaluationError("stopped before its end")

    try:
        found = evaluate(root, find_checkpoint(root, run_id), Task(dataset, config.split), device, go_on)
        if found.not_kept:
            tell(f"Its figures on the test are not kept: {found.not_kept}.")
    except RecformerError as error:
        # The run is trained and saved whatever happens here; the next comparison evaluates again.
        print(f"evaluation: {error}", flush=True)


def _step_writer(folder: Path, done: int) -> TensorBoardWriter:
    """The log that counts steps, of which `done` are done. Raises StoreError when the disk refuses."""
    steps = folder / by_step.FOLDER
    with suppress(OSError):  # what is wrong is said when the log itself is opened
        steps.mkdir(exist_ok=True)
    return TensorBoardWriter(steps, done)


def _start(
    config: TrainConfig, prepared: Prepared, device: torch.device, models: Path, resume: bool, init_from: Path | None
) -> TrainState:
    remove_leftovers(models)
    given = resume or init_from is not None  # weights that are read next
    model = new_model(config.model_copy(update={"initialisation": "random"}) if given else config, prepared)
    if init_from is not None:
        _load_weights(model, init_from)
    model.to(device)
    # fused: one kernel for all parameters instead of a dozen for each.
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    state = TrainState(model, optimizer, device)
    if resume:
        state.restore(models)
        with suppress(CheckpointError):  # a damaged best checkpoint does not stop training; reading it says so
            mend_best_record(models)
    return state


def _load_weights(model: torch.nn.Module, path: Path) -> None:
    try:
        state = read_state(path)
        check_constants(model, state, str(path))
        model.load_state_dict(state)
    except RuntimeError as error:
        faults = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise CheckpointError(f"the weights in {path} do not fit this configuration and dataset: {faults}") from None


def config_from_weights(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """`config` with the model section and window of the checkpoint `path`, whose weights a new run begins with."""
    info = read_info(path)
    model = parse_section("model", info.model).model_dump()
    return config | {"model": model, "window": info.shape.window, "initialisation": "random"}


def _info(run_id: str, config: TrainConfig, windows: Windows, origin: Provenance) -> CheckpointInfo:
    return CheckpointInfo(
        run_id=run_id,
        model=config.model.model_dump(mode="json"),
        sizes=asdict(sizes_of(windows)),
        dataset={"name": origin.dataset, "fingerprint": origin.fingerprint},
        split=config.split.model_dump(mode="json"),
        commit=origin.commit,
    )


@contextmanager
def _stop_signals() -> Generator[Callable[[], bool]]:
    """While inside, SIGTERM and SIGINT only ask to stop; the function given says whether one came.

    A second Ctrl-C is from somebody who will not wait: it interrupts at once.
    """
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        if number == signal.SIGINT and number in asked:
            raise KeyboardInterrupt
        asked.append(number)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _should_stop(folder: Path, asked: Callable[[], bool]) -> bool:
    """Whether a stop was asked for. Raises StoreError when the run was deleted: it must not be made again."""
    if not folder.is_dir():
        raise StoreError(f"{folder} was deleted while the run trained; nothing more of it is saved")
    return asked()


def _say(log: Path, line: str) -> None:
    """Print a line, and keep it in the run's log too where that is not what standard output goes to already.

    A full disk, or a log that was deleted, is no reason to end training here.
    """
    with suppress(OSError):
        print(line, flush=True)
    with suppress(OSError):
        if not (log.exists() and os.path.samestat(log.stat(), os.fstat(1))):
            with log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def _unexpected(error: Exception) -> str:
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"
