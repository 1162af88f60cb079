"""What takes long to compute of a dataset, kept beside its arrays: it is theirs alone, so it goes where they go."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from pydantic import TypeAdapter

from recformer.data.dataset import Dataset
from recformer.errors import StoreError
from recformer.files import gate
from recformer.files.writing import write_text

T = TypeVar("T")
log = logging.getLogger(__name__)


def kept(dataset: Dataset, name: str, record: TypeAdapter[T], make: Callable[[], T]) -> T:
    """What `make` gives, computed once for each content of a dataset; `name` changes whenever its meaning does.

    What is damaged is computed anew, and a disk that refuses only costs time. Raises what `make` raises.
    """
    if dataset.kept_in is None:
        return make()
    path = dataset.kept_in / f"{name}.json"
    with suppress(StoreError):
        if (found := gate.read_record(path, gate.DATA_SOURCE, record)) is not None:
            return found
    made = make()
    try:
        write_text(path, record.dump_json(made).decode())
    except StoreError as error:
        log.info("%s was not kept: %s", path, error)
    return made
