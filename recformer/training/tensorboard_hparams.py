"""A run's hyper-parameters, and how it ended, for TensorBoard's hparams plugin.

They lie in a small event file of their own, written anew at each launch. TensorBoard keeps the first that a folder
tells, in the order of its files' names: among the scalars, those of a resumed run would stay hidden behind the old.
No experiment is described: TensorBoard then offers all parameters and all scalars that it finds in the runs.
"""

import io
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from recformer.config import TrainConfig, flat_config, text_of
from recformer.files.writing import remove_leftovers, write_atomically
from recformer.training.tensorboard import VERSION, stamps

FILE = "events.hparams.tfevents"  # sorts before events.out.tfevents.…, and names no time that were the run's

# The generated modules build their classes when imported, where type checkers do not see them.
_EVENT: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
_SUMMARY: Any = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]
_hparams: Any = plugin_data_pb2
_api: Any = api_pb2
_FIELDS = {"bool": "bool_value", "int": "number_value", "float": "number_value", "str": "string_value"}


def log_start(folder: Path, config: TrainConfig) -> None:
    """Say what the run in `folder` trains with from now on. Raises StoreError when the disk refuses."""
    began = min([*stamps(folder), time.time()])  # TensorBoard puts runs in the order of their first events
    session = _hparams.SessionStartInfo(start_time_secs=began)
    for name, value in flat(config.model_dump(mode="json")).items():
        setattr(session.hparams[name], _FIELDS[type(value).__name__], value)
    values = _summary(metadata.SESSION_START_INFO_TAG, session_start_info=session)
    records = _record(began, file_version=VERSION) + _record(began, summary=values)

    def write(temporary: Path) -> None:
        temporary.write_bytes(records)

    remove_leftovers(folder, [FILE])
    write_atomically(folder / FILE, write)


def log_end(folder: Path, *, succeeded: bool) -> None:
    """Say how it ended. That is for TensorBoard alone: a disk that refuses it is no reason to fail."""
    now = time.time()
    status = _api.STATUS_SUCCESS if succeeded else _api.STATUS_FAILURE
    session = _hparams.SessionEndInfo(status=status, end_time_secs=now)
    record = _record(now, summary=_summary(metadata.SESSION_END_INFO_TAG, session_end_info=session))
    with suppress(OSError), (folder / FILE).open("r+b", buffering=0) as file:
        end = file.seek(0, io.SEEK_END)
        try:
            written = file.write(record)
        except OSError:
            written = 0
        if written < len(record):  # a disk that is nearly full takes a part
            file.truncate(end)


def flat(options: dict[str, Any]) -> dict[str, bool | float | str]:
    """Options as --set names them: {"model": {"width": 8, "sizes": [8]}} gives model.width 8, model.sizes "[8]"."""
    pairs = flat_config(options).items()
    return {key: value if isinstance(value, bool | int | float | str) else text_of(value) for key, value in pairs}


def _summary(tag: str, **content: Any) -> Any:
    about = metadata.create_summary_metadata(_hparams.HParamsPluginData(**content))
    return _SUMMARY(value=[_SUMMARY.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])


def _record(wall_time: float, **content: Any) -> bytes:
    record = io.BytesIO()
    RecordWriter(record).write(_EVENT(wall_time=wall_time, **content).SerializeToString())
    return record.getvalue()
