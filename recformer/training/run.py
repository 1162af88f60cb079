"""One training run from its claim to its last word: fresh, resumed, or begun from another run's weights."""

import os
import signal
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from recformer.checkpoint.info import UNKNOWN, CheckpointInfo, Provenance
from recformer.checkpoint.load import read_info
from recformer.checkpoint.weights import check_constants, read_state
from recformer.config import TrainConfig, dump
from recformer.data.histories import Histories
from recformer.data.prepared import Prepared, prepare
from recformer.errors import CheckpointError, EvaluationError, RecformerError, StoreError
from recformer.evaluation.evaluate import Task, evaluate
from recformer.evaluation.provenance import trainings_of
from recformer.files.writing import remove_leftovers
from recformer.logs import by_step
from recformer.run.model_ref import find_model
from recformer.run.paths import Root, can_resume
from recformer.run.printed import LOG_FILE
from recformer.run.record import read_record, write_record
from recformer.training.batches import Batches, batches_of, steps_done
from recformer.training.heartbeat import Heartbeat
from recformer.training.initialisation import new_model, sizes_of
from recformer.training.loop import Outcome, Training
from recformer.training.optimizer import optimizer_of
from recformer.training.request import Request
from recformer.training.resume_state import Position, TrainState
from recformer.training.schedule import validation_steps
from recformer.training.solve import Solving
from recformer.training.step_log import StepLog
from recformer.training.tensorboard import TensorBoardWriter
from recformer.training.tensorboard_hparams import log_end, log_start


def train(root: Root, request: Request, launch: str = "") -> Outcome:
    """Train a run as asked; its records, log and checkpoints are written under `root`.

    Who calls holds the run, so that no other process trains it; `launch` names that hold in status.json.
    SIGTERM and Ctrl-C end the step that is going on, save, and give "stopped".
    Raises RecformerError, after saying in status.json why it failed.
    """
    run_id, config, device = request.run_id, request.config, request.device
    folder = root.run(run_id)
    with _stop_signals() as asked:
        should_stop = partial(_should_stop, folder, asked)
        if read_record(folder) != request.record:  # what a resume adds
            write_record(root, run_id, request.record)
        with Heartbeat(folder, device, config.num_epochs, 0, launch) as heartbeat:
            try:
                heartbeat.update(phase="loading data")
                prepared = prepare(request.dataset, config.split, config.train_on)
                work = _train_in_steps if config.in_steps else _solve
                outcome, tell = work(root, request, prepared, heartbeat, should_stop)
                if outcome == "finished" and config.validates:
                    heartbeat.update(phase="evaluating")
                    _evaluate_best(root, request, should_stop, tell)
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


_Work = tuple[Outcome, Callable[[str], None]]
"""How it ended, and what tells people what they should know."""


def _train_in_steps(
    root: Root, request: Request, prepared: Prepared, heartbeat: Heartbeat, should_stop: Callable[[], bool]
) -> _Work:
    run_id, config, device = request.run_id, request.config, request.device
    folder, resume = root.run(run_id), can_resume(root, run_id)
    state = _start(root, request, prepared, resume)
    batches = batches_of(prepared, config, device)
    heartbeat.update(steps=config.num_epochs * batches.steps, epoch=state.position.epoch)
    log_start(folder, config)
    with (
        TensorBoardWriter(folder, state.position.epoch) as writer,
        _step_writer(folder, _steps_logged(config, batches, state.position)) as step_writer,
    ):
        if not resume:
            writer.note("config", dump(config))
        info = _info(request, prepared.histories, _ancestors(root, request, state))
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
        return training.run(), training.tell


def _solve(
    root: Root, request: Request, prepared: Prepared, heartbeat: Heartbeat, should_stop: Callable[[], bool]
) -> _Work:
    folder = root.run(request.run_id)
    log_start(folder, request.config)
    with TensorBoardWriter(folder, 0) as writer:
        writer.note("config", dump(request.config))
        say = partial(_say, folder / LOG_FILE)
        solving = Solving(root, request, prepared, heartbeat, writer, should_stop, say)
        return solving.run(_info(request, prepared.histories, [])), say


def _evaluate_best(root: Root, request: Request, should_stop: Callable[[], bool], tell: Callable[[str], None]) -> None:
    """Ranks of the best checkpoint on the validation part, so that Home and Compare have them at once. Nothing looks at
    the test by itself.

    `tell` says in the run's status what its people should know.
    """

    def go_on(*_: int) -> None:
        if should_stop():
            raise EvaluationError("stopped before its end")

    try:
        task = Task(request.dataset, request.config.split)
        found = evaluate(root, find_model(root, request.run_id), task, request.device, go_on)
        if found.not_kept:
            tell(f"Its figures on the validation part are not kept: {found.not_kept}.")
    except RecformerError as error:
        # The run is trained and saved whatever happens here; the next comparison evaluates again.
        print(f"evaluation: {error}", flush=True)


def _steps_logged(config: TrainConfig, batches: Batches, position: Position) -> int:
    """How many steps the log of a run at `position` holds already: not the last one, where it is to be validated."""
    validates = position.step in validation_steps(config.validate_every, batches.steps)
    waits = validates and position.validated != position.step and position.cases > position.logged_cases
    return steps_done(batches, position) - waits


def _step_writer(folder: Path, done: int) -> TensorBoardWriter:
    """The log that counts steps, of which `done` are done. Raises StoreError when the disk refuses."""
    steps = folder / by_step.FOLDER
    with suppress(OSError):  # what is wrong is said when the log itself is opened
        steps.mkdir(exist_ok=True)
    return TensorBoardWriter(steps, done)


def _start(root: Root, request: Request, prepared: Prepared, resume: bool) -> TrainState:
    config, device, models = request.config, request.device, root.model(request.run_id)
    remove_leftovers(models)
    init_from = None if resume else request.record.init_from
    given = resume or init_from is not None  # weights that are read next
    model = new_model(config.model_copy(update={"initialisation": "random"}) if given else config, prepared)
    if init_from is not None:
        _load_weights(model, find_model(root, init_from).path)
    model.to(device)
    state = TrainState(model, optimizer_of(config, model), device)
    if resume:
        state.restore(models)
    return state


def _load_weights(model: torch.nn.Module, path: Path) -> None:
    try:
        state = read_state(path)
        check_constants(model, state, str(path))
        model.load_state_dict(state)
    except RuntimeError as error:
        faults = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise CheckpointError(f"the weights in {path} do not fit this configuration and dataset: {faults}") from None


def _ancestors(root: Root, request: Request, state: TrainState) -> list[Provenance]:
    """What the weights that the run began with were trained on.

    The run remembers it itself: what it began with may be gone when it is resumed.
    """
    if state.ancestors is not None or request.record.init_from is None:
        return state.ancestors or []
    try:
        parent = find_model(root, request.record.init_from)
        return trainings_of(root, parent, read_info(parent.path)) or [UNKNOWN]
    except RecformerError:
        return [UNKNOWN]


def _info(request: Request, histories: Histories, ancestors: list[Provenance]) -> CheckpointInfo:
    record, dataset = request.record, request.dataset
    return CheckpointInfo(
        run_id=request.run_id,
        model=request.config.model.model_dump(mode="json"),
        sizes=asdict(sizes_of(request.config, histories)),
        dataset={"name": dataset.name, "fingerprint": dataset.fingerprint},
        split=request.config.split.model_dump(mode="json"),
        train_on=request.config.train_on,
        ancestors=ancestors,
        init_from=record.init_from,
        commit=record.resumed[-1].commit if record.resumed else record.commit,
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
