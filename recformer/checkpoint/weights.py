"""Reading and writing weights: safe formats only, old layouts upgraded in one place, models built to fit."""

import io
import itertools
import json
import os
import pickle
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from recformer.checkpoint.file_kind import kind_of
from recformer.checkpoint.info import SIZES, CheckpointInfo
from recformer.checkpoint.weight_sets import State, chosen_set, largest_mapping, weight_sets
from recformer.config import Options, parse_section
from recformer.errors import CheckpointError, UsageError
from recformer.files import gate
from recformer.files.names import in_shell
from recformer.files.safetensors_header import check_safetensors, damaged, record_in
from recformer.files.writing import write_atomically
from recformer.model.sizes import Sizes
from recformer.registry import MODELS

TIED_WEIGHTS = 8
"""How often the same numbers may stand under several names."""
_SAVE_WEIGHTS = "In the program that made it, save model.state_dict()"
# Written beside the weights by trainers; nothing of them is imported or called, so their names are all that matters.
_OF_SETTINGS = (
    "argparse.Namespace",
    "lightning.",
    "lightning_fabric.",
    "omegaconf.",
    "pytorch_lightning.",
    "torchmetrics.",
)
_CLASSES_LOCK = threading.Lock()  # PyTorch's list of what it may read holds for the whole process


def write_best(folder: Path, model: nn.Module, info: CheckpointInfo, make_folder: bool = True) -> None:
    """Write best.safetensors, its record in it, atomically.

    Raises StoreError when the disk refuses, and, without `make_folder`, when the folder is gone.
    """
    write_weights(folder / "best.safetensors", model, info, make_folder)
    with suppress(OSError):  # the record of an earlier version, which stood beside the weights
        (folder / "best.json").unlink(missing_ok=True)


def write_weights(path: Path, model: nn.Module, info: CheckpointInfo, make_folder: bool = True) -> None:
    """Write weights with their record as a .safetensors file, atomically. Raises as `write_best`."""
    record = json.dumps(asdict(info), allow_nan=False)
    tensors = {key: value.contiguous().cpu() for key, value in model.state_dict().items()}
    content = safetensors.torch.save(tensors, metadata={"recformer": record})
    write_atomically(path, lambda temporary: temporary.write_bytes(content), make_folder=make_folder)


def write_archive(path: Path, value: dict[str, Any], keep: Path | None = None, make_folder: bool = True) -> None:
    """Write tensors and plain values as a .pt archive, atomically; the archive before it stays as `keep`.

    Raises StoreError when the disk refuses, and, without `make_folder`, when the folder is gone.
    """
    buffer = io.BytesIO()
    torch.save(value, buffer)
    write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()), keep, make_folder)


def read_archive(path: Path) -> dict[str, Any]:
    """What a .pt or .pth file holds: tensors and plain values, nothing that runs code. Its checksums are checked.

    Raises CheckpointError for a missing, cut or damaged file, and for a pickle that would import or call anything.
    """
    try:
        with gate.open_file(path, gate.CHECKPOINT) as file:
            _check_archive(file, path)
            value = _loaded(file)
            _check_content(value, path, os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        raise CheckpointError(f"checkpoint {path} does not exist") from None
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file makes PyTorch's reader raise almost anything
        raise CheckpointError(_why_unreadable(path, error)) from None
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{path} holds a {type(value).__name__}, such as predictions, and no weights. {_SAVE_WEIGHTS}"
        )
    return cast("dict[str, Any]", value)


def _loaded(file: BinaryIO) -> Any:
    """What PyTorch reads without running code; classes that only hold settings beside the weights become mappings."""
    start = file.tell()
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        file.seek(start)
        classes = _classes_of_settings(file)
        if not classes:
            raise
        file.seek(start)
        with _CLASSES_LOCK, torch.serialization.safe_globals([(OrderedDict, name) for name in classes]):
            return torch.load(file, map_location="cpu", weights_only=True)


def _classes_of_settings(file: BinaryIO) -> list[str]:
    """The classes that an archive names beyond those that PyTorch reads, where all of them only hold settings."""
    try:
        names: list[str] = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except Exception:  # PyTorch's old format, or damage, which the error before has told
        return []
    return names if all(name.startswith(_OF_SETTINGS) for name in names) else []


def _check_archive(file: BinaryIO, path: Path) -> None:
    """Raises where an archive unpacks to more than it is, or does not match its checksums: PyTorch does not look."""
    is_archive = file.read(4) == b"PK\x03\x04"  # else PyTorch's old format, which has no checksums
    if is_archive:
        with gate.open_zip(file, path, gate.CHECKPOINT) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise zipfile.BadZipFile("it is compressed, as PyTorch writes none")
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} does not match its checksum")
    file.seek(0)


def _check_content(value: Any, path: Path, file_bytes: int) -> None:
    """Raises CheckpointError for tensors of more numbers than the file can hold, and for values nested too deeply.

    A tensor may be a view that repeats the few numbers of its storage, so its shape alone is no proof.
    """
    level, left = [value], TIED_WEIGHTS * file_bytes + (1 << 20)
    for _ in range(gate.MOST_DEPTH):
        tensors = [entry for entry in level if isinstance(entry, Tensor)]
        if any(entry.layout != torch.strided or entry.device.type != "cpu" or entry.is_quantized for entry in tensors):
            raise CheckpointError(damaged(path, "a tensor is not a plain one"))
        left -= sum(entry.numel() * entry.element_size() for entry in tensors)
        if left < 0:
            raise CheckpointError(damaged(path, f"its tensors are larger than its {file_bytes:,} bytes can hold"))
        parts = (part for entry in level for part in _parts(entry))
        level = list(itertools.islice(parts, gate.MOST_VALUES + 1))
        if not level:
            return
        if len(level) > gate.MOST_VALUES:
            raise CheckpointError(damaged(path, f"it holds more than {gate.MOST_VALUES:,} values"))
    raise CheckpointError(damaged(path, f"its values are nested more than {gate.MOST_DEPTH} deep"))


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[Any, Any]", value).values()
    return cast("Iterable[Any]", value) if isinstance(value, list | tuple | set | frozenset) else ()


def read_state(path: Path, name: str | None = None) -> State:
    """The weights in a .safetensors, .pt or .pth file, with the model's own keys, whatever wraps them.

    `name` chooses one set where a file holds several; see weight_sets. Raises CheckpointError, and UsageError for a
    name that no set has.
    """
    value = _safetensors(path) if path.suffix == ".safetensors" else read_archive(path)
    if path.suffix == ".safetensors" and record_in(path) is not None:
        return value  # one of ours: its record says of what model it is, which shapes cannot for all
    sets = weight_sets(value, lambda state: _model_of(state) is not None)
    if sets:
        return chosen_set(sets, name, str(path))
    tensors = largest_mapping(value)
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors by name, so no weights; predictions perhaps. {_SAVE_WEIGHTS}")
    raise _of_no_model(path, tensors)


def _safetensors(path: Path) -> State:
    try:
        check_safetensors(path)
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"checkpoint {path} does not exist") from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(damaged(path, str(error))) from None


def _model_of(state: State) -> tuple[dict[str, Any], Sizes] | None:
    """Options and sizes of the registered model that has these keys; None where none has."""
    for name in MODELS.names():
        with suppress(KeyError, ValueError, IndexError):
            return MODELS.get(name).shape_from(state)
    return None


def build(options: Options, sizes: Sizes, state: State, where: str) -> nn.Module:
    """A model in evaluation mode with the weights in `state`, loaded strictly.

    Raises CheckpointError naming missing and unexpected keys, or shapes that differ.
    """
    component = MODELS.get(options.name)
    with torch.device("meta"), _NotInitialised():  # without memory: a record may claim any size
        wanted = {key: tuple(value.shape) for key, value in component(options, sizes).state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    faults = [f"{key} is missing" for key in sorted(wanted.keys() - found.keys())]
    faults += [f"{key} is not known" for key in sorted(found.keys() - wanted.keys())]
    faults += [
        f"{key} has the shape {found[key]}, not {wanted[key]}"
        for key in sorted(wanted.keys() & found.keys())
        if found[key] != wanted[key]
    ]
    if faults:
        told = "; ".join(faults[:3])
        raise CheckpointError(f"{where} does not fit {options.name} with {sizes}: {told}. {gate.CHECKPOINT.remedy}")
    model: nn.Module = component(options, sizes)
    check_constants(model, state, where)
    model.load_state_dict(state, strict=True)
    return model.eval()


class _NotInitialised(TorchFunctionMode):
    """While on, `torch.nn.init` does nothing: with no memory behind a tensor, it would import PyTorch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def check_constants(model: nn.Module, state: State, where: str) -> None:
    """Raises CheckpointError where `state` would change whole numbers that a model counts on, such as its positions, or
    has some beyond those that a part's `index_limits` allows.

    Beyond the table that they look up in, they would end a forward pass in the middle. Shapes are for others to check.
    """
    for name, own in model.named_buffers():
        given = state.get(name)
        if own.is_floating_point() or not isinstance(given, Tensor) or given.shape != own.shape:
            continue
        if not torch.equal(given.to(own), own):
            raise CheckpointError(f"{where} has other numbers in {name} than the model. {gate.CHECKPOINT.remedy}")
    for part, module in model.named_modules():
        for name, limit in getattr(module, "index_limits", {}).items():
            given = state.get(f"{part}.{name}" if part else name)
            if isinstance(given, Tensor) and given.numel() and not 0 <= int(given.min()) <= int(given.max()) < limit:
                raise CheckpointError(f"{where} names items that there are not, in {name}. {gate.CHECKPOINT.remedy}")


def infer_info(path: Path, state: State, options: dict[str, Any]) -> CheckpointInfo:
    """The record of a bare state dict, from the shapes of its tensors; `options` says what shapes cannot (num_heads).

    Raises CheckpointError where no registered model has such keys, UsageError for options that do not fit.
    """
    known = _model_of(state)
    if known is None:
        raise _of_no_model(path, state)
    found, sizes = known
    gate.validated(asdict(sizes), SIZES, path, gate.CHECKPOINT)
    try:
        model = parse_section("model", found | options).model_dump(mode="json")
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{path}: these options do not fit its weights: {reason}",
            cli=f"Add --set model.num_heads=N to: import {in_shell(path)} --name NAME",
        ) from None
    return CheckpointInfo(run_id=path.stem, model=model, sizes=asdict(sizes), imported=True)


def _of_no_model(path: Path, state: State) -> CheckpointError:
    keys = gate.on_a_line(", ".join(list(state)[:3]))
    known = ", ".join(MODELS.names())
    return CheckpointError(f"{path}: no known model has these keys ({keys} …); known: {known}")


def _why_unreadable(path: Path, error: Exception) -> str:
    """What to tell of a file that PyTorch would not load."""
    if (kind := kind_of(path)) is not None:
        return (
            f"{path} is no PyTorch checkpoint: it is {kind}, which holds no weights. Name a run, or a file of weights"
        )
    if not isinstance(error, pickle.UnpicklingError):
        return damaged(path, " ".join(str(error).split())[:120] or type(error).__name__)
    with gate.open_file(path, gate.CHECKPOINT) as file:
        head = file.read(2)
    is_pickle = head[:1] == b"\x80"
    if not zipfile.is_zipfile(path) and not is_pickle:
        return f"{path} is no PyTorch checkpoint"
    # What PyTorch found, without its advice to load the file all the same.
    found = str(error).split("Check the documentation")[0].split("WeightsUnpickler error:")[-1]
    reason = " ".join(found.split("Please use")[0].split("trusted source.")[-1].split())[:160]
    by_python = is_pickle and head[1:] > b"\x02"  # PyTorch's own archives keep to protocol 2
    if reason.startswith("Unsupported operand") and not by_python:
        return damaged(path, reason)
    return (
        f"{path} was refused: its pickle would do more than load tensors, and could run code ({reason}). "
        f"{_SAVE_WEIGHTS} alone"
    )
