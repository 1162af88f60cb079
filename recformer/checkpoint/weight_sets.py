"""The sets of weights in a checkpoint, whatever its writer put around them.

Lightning keeps them under `state_dict`, beside callbacks and hyper-parameters, others under `model` or
`model_state_dict`; DistributedDataParallel puts `module.` before every key, torch.compile `_orig_mod.`, a module that
holds the model the name of its field; averaged weights (EMA) stand beside the others under a name of their own. A set
is whatever mapping of names to tensors some model here knows, so no list of wrappers is needed.
"""

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, cast

from torch import Tensor

from recformer.errors import CheckpointError, UsageError
from recformer.files import gate

State = dict[str, Tensor]
MOST_MAPPINGS = 3
"""Mappings within one another in which weights are looked for."""
MOST_FIELDS = 4
"""Fields before a key that belong to what holds the model."""
_WRAPPERS = ("module", "_orig_mod")  # say nothing of whose weights they are


def weight_sets(value: dict[Any, Any], is_model: Callable[[State], bool]) -> dict[str, State]:
    """Every set of weights in what a file holds, by a name made of the keys around it, with the model's own keys.

    `is_model` says whether some model has these keys. {"model": m, "ema": {"module": e}} gives {"model": m, "ema": e}.
    """
    found: dict[str, State] = {}
    for path, tensors in _tensors_in(value):
        for prefix, state in _by_prefix(tensors, is_model).items():
            parts = [*path, *prefix.split(".")]
            name = ".".join(part for part in parts if part and part not in _WRAPPERS) or "weights"
            found[".".join(parts) if name in found else name] = state
    return found


def chosen_set(sets: dict[str, State], name: str | None, where: str) -> State:
    """The set called `name`, or by a part of its name where that is clear; the only one where it is None.

    Raises CheckpointError where there are several and none was chosen, UsageError for a name that none or several have.
    `sets` is not empty.
    """
    if name is None and len(sets) == 1:
        return next(iter(sets.values()))
    names = gate.on_a_line(", ".join(sets))
    if name is None:
        raise CheckpointError(
            f"{where} holds several sets of weights: {names}",
            cli=f"Choose one: import {shlex.quote(where)} --name NAME --weights {shlex.quote(next(iter(sets)))}",
        )
    like = [name] if name in sets else [known for known in sets if name in known]
    if len(like) != 1:
        raise UsageError(f"{where} has {'no' if not like else 'several'} weights called {name!r}; allowed: {names}")
    return sets[like[0]]


def largest_mapping(value: dict[Any, Any]) -> State:
    """The mapping of most names to tensors in what a file holds; empty where there is none."""
    return max((tensors for _, tensors in _tensors_in(value)), key=len, default={})


def _tensors_in(value: dict[Any, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], State]]:
    """Tensors by name, for each mapping, with the keys that lead there."""
    tensors = {key: inner for key, inner in value.items() if isinstance(key, str) and isinstance(inner, Tensor)}
    if tensors:
        yield path, tensors
    if len(path) < MOST_MAPPINGS:
        for key, inner in value.items():
            if isinstance(key, str) and isinstance(inner, dict):
                yield from _tensors_in(cast("dict[Any, Any]", inner), (*path, key))


def _by_prefix(tensors: State, is_model: Callable[[State], bool]) -> dict[str, State]:
    """The models among tensors, by what stands before their keys; "" where nothing does."""
    groups: defaultdict[str, State] = defaultdict(dict)
    for key, tensor in tensors.items():
        parts = key.replace("_orig_mod.", "").split(".")
        for count in range(min(len(parts), MOST_FIELDS + 1)):
            groups[".".join(parts[:count])][".".join(parts[count:])] = tensor
    models = [prefix for prefix, state in groups.items() if is_model(state)]
    return {prefix: _without_others(groups[prefix], prefix, models) for prefix in models}


def _without_others(state: State, prefix: str, models: list[str]) -> State:
    """A model's tensors without those of the models whose prefix begins with its own."""
    before = f"{prefix}." if prefix else ""
    others = tuple(f"{other.removeprefix(before)}." for other in models if other != prefix and other.startswith(before))
    return {key: tensor for key, tensor in state.items() if not key.startswith(others)} if others else state
