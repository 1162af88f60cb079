"""The run's TensorBoard log: one point an epoch under each tag."""

from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard.writer import SummaryWriter


class Journal:
    """Writes scalars at the epoch's number (the first is 1), flushed at once so that readers see them live."""

    def __init__(self, folder: Path, epochs_done: int) -> None:
        # What a crashed process logged after its last save is void: the resumed run logs those epochs again.
        purge_step = epochs_done + 1 if epochs_done or any(folder.glob("events.out.tfevents.*")) else None
        self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, epoch: int, scalars: dict[str, float]) -> None:
        """Log all `scalars` (tag to value) at `epoch`."""
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, value, epoch)
        self._writer.flush()

    def note(self, title: str, text: str) -> None:
        """Log a text, such as the configuration."""
        self._writer.add_text(title, f"```\n{text}\n```", 0)
        self._writer.flush()
