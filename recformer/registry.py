"""Registries: a model, loss, split, metric, baseline or reader is one file that registers itself under a name."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from recformer.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to components of one kind; the files of `package` are imported at the first look-up."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: enter the decorated class or function under `name`.

        Raises ValueError when the name is taken, which is a programmer's mistake.
        """

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def names(self) -> list[str]:
        """All registered names, sorted."""
        self._discover()
        return sorted(self._entries)

    def get(self, name: str) -> T:
        """The entry called `name`. Raises UsageError naming what is allowed."""
        self._discover()
        if name not in self._entries:
            allowed = ", ".join(sorted(self._entries))
            raise UsageError(f"{self.kind}: there is no {name!r}; allowed: {allowed}")
        return self._entries[name]

    def _discover(self) -> None:
        if self._discovered:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._discovered = True


MODELS: Registry[Any] = Registry("model", "recformer.model")
LOSSES: Registry[Any] = Registry("loss", "recformer.loss")
SPLITS: Registry[Any] = Registry("split", "recformer.data.split")
METRICS: Registry[Any] = Registry("metric", "recformer.metric")
"""Of the target's rank: (ranks (N,), k) → (N,)."""
LIST_METRICS: Registry[Any] = Registry("list metric", "recformer.metric")
"""Of each recommended list: (Lists, k) → (N,)."""
CATEGORY_METRICS: Registry[Any] = Registry("category metric", "recformer.metric")
"""Of each recommended list and one column of the item table's categories: (Lists, k, column) → (N,)."""
CATALOGUE_METRICS: Registry[Any] = Registry("catalogue metric", "recformer.metric")
"""Of all lists together, so without an interval: (Lists, k) → float."""
BASELINES: Registry[Any] = Registry("baseline", "recformer.model.baseline")
READERS: Registry[Any] = Registry("reader", "recformer.data.layouts")
