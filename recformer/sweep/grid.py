"""A list of values for λ or the seed: one run a value, in the foreground, one after the other."""

import itertools
import json
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from recformer.config import TrainConfig, override, parse
from recformer.errors import ConfigError, JobError, StoreError, UsageError
from recformer.files.names import checked_run_id
from recformer.jobs.launch import train_arguments, write_down
from recformer.jobs.queue import recformer_command
from recformer.run.paths import Root
from recformer.training.request import Request

SWEPT = ("loss.penalty", "seed")
"""The fields that take a list."""


@dataclass(frozen=True)
class Variant:
    """One value of a sweep, or one of each where two fields have lists."""

    suffix: str
    """What its run id ends with: "0.1"."""
    config: TrainConfig


def is_sweep(mapping: dict[str, Any]) -> bool:
    """Whether a configuration, not yet checked, has a list where a sweep takes one."""
    return any(isinstance(_value(mapping, key), list) for key in SWEPT)


def variants(mapping: dict[str, Any], source: str) -> list[Variant]:
    """The runs of a sweep, in the order of their values; one without a suffix where there is no list.

    Raises ConfigError with the faults of all of them.
    """
    lists = {key: value for key in SWEPT if isinstance(value := _value(mapping, key), list)}
    empty = [f"{key} = []: a list needs at least one value" for key, values in lists.items() if not values]
    if empty:
        raise ConfigError(empty, source)
    found: list[Variant] = []
    faults: list[str] = []
    for values in itertools.product(*lists.values()):
        changes = [f"{key}={json.dumps(value, default=str)}" for key, value in zip(lists, values, strict=True)]
        try:
            found.append(_variant(parse(override(mapping, changes), source), list(lists)))
        except ConfigError as error:
            faults += [fault for fault in error.faults if fault not in faults]
    suffixes = [variant.suffix for variant in found]
    twice = [suffix for suffix in dict.fromkeys(suffixes) if suffixes.count(suffix) > 1]
    faults += [f"{', '.join(lists)}: {suffix} is given twice; name each value once" for suffix in twice]
    if faults:
        raise ConfigError(faults, source)
    return found


def planned(
    root: Root, found: list[Variant], run_id: str | None, plan: Callable[[TrainConfig, str | None], Request]
) -> list[Request]:
    """A request for each run, `run_id` and its value as its id, after all was looked at that could be wrong.

    Raises what `plan` raises, and UsageError with every id that is taken or not allowed.
    """
    plans: list[Request] = []
    faults: list[str] = []
    for variant in found:
        try:
            new_id = None if run_id is None else checked_run_id("-".join(filter(None, [run_id, variant.suffix])))
            plans.append(plan(variant.config, new_id))
        except UsageError as error:
            faults += [str(error)] if str(error) not in faults else []
    if faults:
        _release(root, plans)
        raise UsageError("; ".join(faults))
    return plans


def carry_out(root: Root, plans: list[Request]) -> int:
    """Train one run after the other, each in a process of its own.

    A process of its own, since one that waits in the queue becomes another program and would forget the others.
    SIGTERM and Ctrl-C are passed on to the run that trains and end the sweep. Returns the exit code of a run that was
    stopped so, else 0. Raises JobError when a run failed; the ones after it are not begun.
    """
    waiting = list(plans)
    try:
        with _Foreground() as foreground:
            while waiting and not foreground.asked:
                plan = waiting.pop(0)
                rest = _rest(waiting)
                try:
                    write_down(root, plan.run_id, plan.record)
                except StoreError as error:
                    raise JobError(f"the sweep ends with run {plan.run_id!r}: {error}{rest}") from error
                arguments = ["--root", str(root.path), *train_arguments(plan.run_id, str(plan.device))]
                code = foreground.run([*recformer_command(), *arguments])
                if foreground.asked:
                    print(f"the sweep was stopped{rest}", flush=True)
                    return code if code >= 0 else 128 - code
                if code:
                    raise JobError(f"the sweep ends with run {plan.run_id!r}, which failed as told above{rest}")
    finally:
        _release(root, waiting)
    return 0


def _value(mapping: dict[str, Any], key: str) -> Any:
    section, dot, field = key.partition(".")
    if not dot:
        return mapping.get(key)
    options = mapping.get(section)
    return options.get(field) if isinstance(options, dict) else None


def _variant(config: TrainConfig, keys: list[str]) -> Variant:
    if not keys:
        return Variant("", config)
    values: list[str] = []
    name = config.name
    if "loss.penalty" in keys:
        values.append(f"{config.loss.model_dump()['penalty']:.12g}")
        # A preset's name may say its own λ already ("soft penalty λ=1").
        name = f"{re.sub(r' *λ=[0-9.]+', '', name)} λ={values[0]}"
    if "seed" in keys:
        values.append(str(config.seed))
        name = f"{name} seed {config.seed}"
    return Variant("-".join(values), parse(config.model_dump() | {"name": name}))


def _rest(waiting: list[Request]) -> str:
    names = ", ".join(plan.run_id for plan in waiting)
    return f"; not begun: {names}" if names else ""


def _release(root: Root, plans: list[Request]) -> None:
    """Remove the folders reserved for runs that were never begun; one that holds anything stays."""
    for plan in plans:
        with suppress(OSError):
            root.run(plan.run_id).rmdir()


class _Foreground:
    """The process that trains now, which SIGTERM and Ctrl-C are passed on to, each once."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._passed = 0
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Foreground":
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, command: list[str]) -> int:
        """Run `command` to its end; its exit code, negative for a signal."""
        # In a process group of its own: a terminal's Ctrl-C would reach it twice, and the second one does not save.
        self._child = subprocess.Popen(command, process_group=0)
        self._pass_on()  # what came before it had a name
        return self._child.wait()

    def _ask(self, number: int, _: object) -> None:
        self.asked.append(number)
        self._pass_on()

    def _pass_on(self) -> None:
        while self._child is not None and self._passed < len(self.asked):
            self._passed += 1
            self._child.send_signal(self.asked[self._passed - 1])
