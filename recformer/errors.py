"""The errors a user can cause or meet. Each message says what, which value, what is allowed, what to do."""


class RecformerError(Exception):
    """Something a user can understand and mend; shown as its message, never as a stack trace.

    Where what to do differs with the place, `cli` says it for the command line and `page` for the app: options and
    commands are of no use to who reads a page. Each is a sentence without a full stop.
    """

    def __init__(self, message: str, *, cli: str = "", page: str = "") -> None:
        super().__init__(message)
        self._cli, self._page = cli, page

    def __str__(self) -> str:
        """The message as the command line shows it."""
        return _joined(super().__str__(), self._cli)

    @property
    def on_page(self) -> str:
        """The message as a page shows it."""
        return _joined(super().__str__(), self._page)


def count(number: int, noun: str) -> str:
    """A number of things in words: "1 run", "1,200 runs"."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _joined(message: str, remedy: str) -> str:
    return f"{message}. {remedy}" if remedy else message


class UsageError(RecformerError):
    """A wrong name or option, found before any work began (exit code 2 on the command line)."""


class ConfigError(UsageError):
    """A training configuration with one or more faults, all of them in `faults`."""

    def __init__(self, faults: list[str], source: str) -> None:
        self.faults = faults
        lines = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{source}: {count}\n{lines}")


class DataError(RecformerError):
    """A dataset that cannot be read, or that does not fit the model it is used with."""


class DownloadError(RecformerError):
    """A dataset that could not be fetched whole; nothing of it was kept as if it were."""


class CheckpointError(RecformerError):
    """A checkpoint that is missing, damaged, unsafe, or of another architecture."""


class DeviceError(RecformerError):
    """A device that was asked for and is not there."""


class JobError(RecformerError):
    """A run that cannot be launched, stopped or resumed as asked."""


class EvaluationError(RecformerError):
    """Scores or protocols that cannot give an honest number."""


class NotNumbersError(EvaluationError):
    """A model whose scores are not numbers; `model` says which, as soon as that is known."""

    def __init__(self, model: str = "the model") -> None:
        super().__init__(
            f"{model} gives scores that are not numbers: its weights are damaged or diverged. Leave it out, or train "
            "it anew"
        )


class StoreError(RecformerError):
    """A record or file under the project's root that could not be read or written."""
