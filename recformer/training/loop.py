"""The training loop: validate? → stop? → step → save? until the epoch ends, then validate → log → keep the best."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.weights import write_best
from recformer.config import TrainConfig
from recformer.data.prepared import Prepared
from recformer.errors import RecformerError, count
from recformer.evaluation.ranker import quickest_order, rank_batch, score
from recformer.evaluation.ranks import concatenate
from recformer.files.names import in_shell
from recformer.loss.seen import Seen, Sequences
from recformer.metric.duplication import duplication
from recformer.registry import LOSSES, METRICS
from recformer.run.paths import CHECKPOINT_FILES
from recformer.run.record import record_file
from recformer.training.batches import Batches, batches_of, steps_done
from recformer.training.engine import Step
from recformer.training.engine_choice import choose
from recformer.training.heartbeat import Heartbeat
from recformer.training.resume_state import TrainState
from recformer.training.schedule import is_logged, learning_rate, validation_steps
from recformer.training.step_log import StepLog
from recformer.training.tensorboard import TensorBoardWriter

Outcome = Literal["finished", "stopped"]
LOOK_S = 0.5  # how often the host looks at the device's running loss
TRAINING = ("loss/train", "lr")  # what is logged of steps anyway
SETTLED_S = 3.0  # of training, after which its speed is told: the first steps are slower


class DivergedError(RecformerError):
    """Training whose loss is no longer a number."""


class OutOfMemoryError(RecformerError):
    """Training that needs more memory than there is."""


@dataclass
class Training:
    """One training: what it works on and whom it tells. `run` is the loop."""

    config: TrainConfig
    prepared: Prepared
    state: TrainState
    info: CheckpointInfo
    models: Path
    heartbeat: Heartbeat
    writer: TensorBoardWriter
    step_log: StepLog
    should_stop: Callable[[], bool]
    say: Callable[[str], None]
    _figures: dict[str, float] = field(default_factory=dict[str, float])
    _told: list[str] = field(default_factory=list[str])
    _engine: str = ""  # said once the first steps have told how fast it is
    _saved: bool = False

    def run(self) -> Outcome:
        """Train to the configured number of epochs, or until `should_stop`; both save.

        Raises DivergedError when the loss is not a number, OutOfMemoryError when there is not enough, StoreError when
        a checkpoint cannot be written.
        """
        try:
            finished = self._train()
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise self._out_of_memory(error) from error
        self._save_last()
        return "finished" if finished else "stopped"

    def _train(self) -> bool:
        """Train to the configured number of epochs. False when stopped before it."""
        torch.set_float32_matmul_precision(self.config.matmul_precision)
        self.tell(*self.state.notes)
        batches = batches_of(self.prepared, self.config, self.state.device)
        step = self._step(batches)
        clock = _Clock(steps_done(batches, self.state.position), self.state.position.seconds)
        while self.state.position.epoch < self.config.num_epochs and not self._waited_enough():
            if not (self._train_epoch(step, batches, clock) and self._finish_epoch(clock, batches.unit)):
                return False
        return True

    def _waited_enough(self) -> bool:
        """Whether as many epochs as the patience allows brought nothing better."""
        position, patience = self.state.position, self.config.patience
        if not patience or position.epoch - position.best.get("epoch", position.epoch) < patience:
            return False
        self.tell(f"It ended after {count(position.epoch, 'epoch')}: for {patience} no validation was better.")
        return True

    def tell(self, *problems: str) -> None:
        """Say what is not as it should be, where whoever looks at the run later sees it too."""
        for problem in problems:
            self._told.append(problem)
            self.say(problem)
            self.heartbeat.update(message=" ".join(self._told))

    def _step(self, batches: Batches) -> Step:
        """One training step on the engine that this run goes on with, or begins with."""
        state = self.state
        self.heartbeat.update(phase="preparing the engine")
        chosen = choose(self.config, state, batches, self.say)
        self.tell(*chosen.problems)
        built = chosen.built
        if state.engine and built.engine != state.engine:
            self.tell(
                f"The {state.engine} engine computed its steps before, the {built.engine} one does from here: the run "
                "goes on, but not bit for bit as it would have."
            )
        state.engine = built.engine
        why = f" ({chosen.why})" if chosen.why else ""
        self._engine = f"{built.engine} engine{why} on {state.device}{self._whence(batches)}"
        return built.step

    def _whence(self, batches: Batches) -> str:
        """Where a resumed run goes on; nothing for a new one."""
        position = self.state.position
        if not steps_done(batches, position):
            return ""
        rate = learning_rate(self.config, position.epoch, position.step / batches.steps)
        return f", from epoch {position.epoch + 1} of {self.config.num_epochs} at learning rate {rate:.3g}"

    def _train_epoch(self, step: Step, batches: Batches, clock: "_Clock") -> bool:
        """Train to the end of the epoch. False when stopped before it."""
        position = self.state.position
        validated_after = validation_steps(self.config.validate_every, batches.steps)
        self.state.model.train()
        running = torch.tensor(position.loss_sum, dtype=torch.float64, device=self.state.device)
        self.heartbeat.update(state="running", phase="training", step=steps_done(batches, position))
        for batch in batches.epoch(position.epoch, position.step):
            # Before the step that follows: a run that was saved, or stopped, in between validates when it goes on.
            if position.step in validated_after and position.validated != position.step:
                self._look(running, batches, clock)
                if not self._validate_within(running, batches, clock):
                    return False
            if self.should_stop():
                if position.step:
                    self._look(running, batches, clock)
                return False
            self._set_rate(position.step / batches.steps)
            running += step(batch) * len(batch)
            self.state.average(self.config.averaging, steps_done(batches, position))
            position.step += 1
            position.cases += len(batch)
            # With its validation otherwise: what is logged of a step is in the log before the next save, or none of it.
            if position.step not in validated_after:
                self._note(running, batches)
            save = self._is_save_step(batches)
            if save or clock.look_due():
                self._look(running, batches, clock)
                if save or clock.save_due(self.config.save_minutes):
                    self._save_last()
        self._look(running, batches, clock)
        return True

    def _set_rate(self, share: float) -> None:
        rate = learning_rate(self.config, self.state.position.epoch, share)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate

    def _note(self, running: Tensor, batches: Batches) -> None:
        """Remember the step for its log, where it is one of those logged and was not logged before a resume."""
        position = self.state.position
        if is_logged(position.epoch, position.step, batches.steps) and position.cases > position.logged_cases:
            self.step_log.note(steps_done(batches, position), running, self._rate())

    def _is_save_step(self, batches: Batches) -> bool:
        every = self.config.save_steps
        return every > 0 and steps_done(batches, self.state.position) % every == 0

    def _look(self, running: Tensor, batches: Batches, clock: "_Clock") -> None:
        """Read the running loss from the device, log the steps until now and tell the heartbeat."""
        position = self.state.position
        position.loss_sum, position.seconds = float(running), clock.epoch_seconds()
        self.step_log.write()
        mean = position.loss_sum / position.cases
        if not math.isfinite(mean):
            raise DivergedError(
                f"the loss is {mean} in epoch {position.epoch + 1}: training has diverged. The checkpoints saved "
                "before are kept; start a new run with a lower learning rate"
            )
        done = steps_done(batches, position)
        total = self.config.num_epochs * batches.steps
        self.heartbeat.update(
            epoch=position.epoch + 1,
            step=done,
            steps=total,
            loss=mean,
            samples_per_s=position.samples_per_s,
            eta_s=clock.seconds_left(done, total),
        )
        self._show({"lr": self._rate()})
        if self._engine and (position.seconds > SETTLED_S or position.step == batches.steps):
            speed = position.samples_per_s
            epoch_s = batches.cases / speed
            self.say(f"{self._engine}: {speed:,.0f} {batches.unit}/s, {epoch_s:,.1f} s an epoch")
            self._engine = ""

    def _finish_epoch(self, clock: "_Clock", unit: str) -> bool:
        """Validate, log and keep the best. False when stopped before all is validated: the epoch is not finished."""
        position = self.state.position
        figures = self._validate() if self.config.validates else self._trained()
        if figures is None:
            return False
        throughput = position.samples_per_s
        position.finish_epoch()
        clock.count_from(0.0)
        self.writer.write(position.epoch, figures | {"throughput/samples_per_s": throughput})
        self._keep_if_best(figures, position.epoch, f"  {throughput:,.0f} {unit}/s")
        return True

    def _validate_within(self, running: Tensor, batches: Batches, clock: "_Clock") -> bool:
        """Validate within an epoch, log and keep the best. False when stopped before all is validated."""
        position = self.state.position
        figures = self._validate()
        if figures is None:
            return False
        position.validated = position.step
        clock.count_from(position.seconds)
        self._note(running, batches)
        self.step_log.write()
        self.step_log.validation(
            steps_done(batches, position), {tag: figures[tag] for tag in figures if tag not in TRAINING}
        )
        self._keep_if_best(figures, position.epoch + position.step / batches.steps)
        self.state.model.train()
        self.heartbeat.update(phase="training")
        return True

    def _validate(self) -> dict[str, float] | None:
        """Figures of training since the epoch began, and of validation now; None when stopped."""
        self.heartbeat.update(phase="validating")
        validated = validate(self.state.judged, self.prepared, self.config, self.state.device, self.should_stop)
        if validated is None:
            return None
        loss, metrics = validated
        return {**self._trained(), "loss/validation": loss, **metrics}

    def _trained(self) -> dict[str, float]:
        """Figures of training since the epoch began."""
        position = self.state.position
        return {"loss/train": position.loss_sum / position.cases, "lr": self._rate()}

    def _rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.state.optimizer.param_groups[0]["lr"])

    def _show(self, figures: dict[str, float]) -> None:
        """Have the status show these, beside what it showed before."""
        self._figures |= figures
        self.heartbeat.update(metrics=dict(self._figures))

    def _keep_if_best(self, figures: dict[str, float], epochs: float, more: str = "") -> None:
        """Tell what a validation after so many `epochs` has given, and keep the model where it is the best so far."""
        self._show(figures)
        self.say(
            f"epoch {round(epochs, 2)}/{self.config.num_epochs}  train {figures['loss/train']:.4f}"
            f"{_validation_words(figures)}{more}"
        )
        position = self.state.position
        if _is_better(figures, position.best, self.config.best_by):
            position.best = {**figures, "epoch": float(epochs)}
            write_best(self.models, self.state.judged, self._info(position.best), self._makes_folder())

    def _save_last(self) -> None:
        self.state.save(self.models, self._info(self.state.position.best), self._makes_folder())

    def _makes_folder(self) -> bool:
        """Whether what is saved next makes the folder: the first time alone. One deleted later must not come back."""
        first, self._saved = not self._saved, True
        return first

    def _out_of_memory(self, error: Exception) -> OutOfMemoryError:
        size, run_id = self.config.batch_size, self.info.run_id
        saved = any((self.models / file).is_file() for file in CHECKPOINT_FILES.values())
        return OutOfMemoryError(
            f"out of memory in epoch {self.state.position.epoch + 1} ({_first_words(error)}): free some memory and "
            f"resume, or use a smaller batch_size than {size}. A run cannot be resumed with another batch size: start "
            "a new one, from these weights where some were saved",
            cli=(
                f"For that: train --init-from {run_id}"
                if saved
                else f"For that: train --config {in_shell(record_file(self.heartbeat.folder))}"
            )
            + f" --data DIR --set batch_size={max(size // 2, 1)}",
            page=f"For that: Train, {'Start from weights' if saved else 'New run'}",
        )

    def _info(self, metrics: dict[str, float]) -> CheckpointInfo:
        position = self.state.position
        figures = {tag: value for tag, value in metrics.items() if tag != "epoch"}
        engine = self.state.engine or ""
        return replace(self.info, epoch=position.epoch, step=position.step, metrics=figures, engine=engine)


def validate(
    model: nn.Module,
    prepared: Prepared,
    config: TrainConfig,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[float, dict[str, float]] | None:
    """Validation loss, and NDCG, HR and MRR at 10 with the history masked, and raw duplication at 10.

    Computed on the validation part, with dropout off. None when `should_stop` says so, which each batch asks.
    """
    loss_function = LOSSES.get(config.loss.name)(config.loss)
    loss_sum, parts = 0.0, []
    histories, cases = prepared.histories, prepared.split.validation
    cases = cases[quickest_order(model, histories, cases)]
    sequences = Sequences.of(histories, device)
    for batch, tokens, logits in score(model, histories, cases, config.window, device):
        if should_stop():
            return None
        targets = torch.from_numpy(histories.targets(batch)).to(device, torch.int64)
        users, ends = (torch.from_numpy(part).to(device, torch.int64) for part in (batch.users, batch.ends))
        loss_sum += float(loss_function(logits, targets, Seen(sequences, tokens, users, ends))) * len(batch)
        parts.append(rank_batch(logits, histories, batch, prepared.split.item_set))
    ranks = concatenate(parts)
    arguments = (ranks.places("history"), 10, ranks.num_targets)
    metrics = {f"metric/{name}@10": float(METRICS.get(name)(*arguments).mean()) for name in ("ndcg", "hr", "mrr")}
    repeats = float(np.mean(duplication(ranks.repeats("window", "none"), 10)))
    return loss_sum / len(cases), metrics | {"duplication/window@10": repeats}


def _validation_words(figures: dict[str, float]) -> str:
    if "loss/validation" not in figures:
        return ""
    return f"  validation {figures['loss/validation']:.4f}  ndcg@10 {figures['metric/ndcg@10']:.4f}"


def _is_better(scalars: dict[str, float], best: dict[str, float], by: str) -> bool:
    if not best or "loss/validation" not in scalars:  # what is not validated is kept as it is last
        return True
    if by == "loss":
        return scalars["loss/validation"] < best["loss/validation"]
    return scalars[f"metric/{by}"] > best[f"metric/{by}"]


def _is_out_of_memory(error: Exception) -> bool:
    # PyTorch's CPU allocator has no exception of its own.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class _Clock:
    """Times of this process: how long the epoch takes, what is left, when to look and when to save."""

    def __init__(self, first_step: int, epoch_seconds: float) -> None:
        now = time.monotonic()
        self._start = now
        self._first_step = first_step
        self._epoch_start = now - epoch_seconds
        self._last_look = self._last_save = now

    def look_due(self) -> bool:
        if time.monotonic() - self._last_look < LOOK_S:
            return False
        self._last_look = time.monotonic()
        return True

    def save_due(self, minutes: float) -> bool:
        if time.monotonic() - self._last_save < minutes * 60:
            return False
        self._last_save = time.monotonic()
        return True

    def epoch_seconds(self) -> float:
        """Time spent on the epoch, that before an interruption counted in."""
        return time.monotonic() - self._epoch_start

    def seconds_left(self, done: int, total: int) -> float | None:
        trained = done - self._first_step
        return (time.monotonic() - self._start) / trained * (total - done) if trained else None

    def count_from(self, epoch_seconds: float) -> None:
        """The epoch's time is counted on from here, where so much of it is over: what has passed was no training."""
        self._epoch_start = time.monotonic() - epoch_seconds
