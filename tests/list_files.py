"""Files of recommendations as other libraries write them: plain functions, the same lists in each form."""

import gzip
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

# ranx would compile itself for a minute; its code is run as Python instead.
os.environ["NUMBA_DISABLE_JIT"] = "1"

import ranx

Lists = Mapping[str, Sequence[str]]
"""User id to item ids, best first."""


def table_of(lists: Lists) -> pd.DataFrame:
    rows = [
        (user, item, place, 1 / place) for user, items in lists.items() for place, item in enumerate(items, start=1)
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "rank", "score"])


def run_of(lists: Lists) -> ranx.Run:
    return ranx.Run(
        {user: {item: 1 / (place + 1) for place, item in enumerate(items)} for user, items in lists.items()}
    )


def _table(names: Mapping[str, str], separator: str = ",") -> Callable[[Path, Lists], None]:
    """Columns called otherwise, in the order of `names`, and the rows in another order than the lists'."""

    def write(path: Path, lists: Lists) -> None:
        table = table_of(lists).sample(frac=1, random_state=0).rename(columns=names)[list(names.values())]
        if path.name.endswith(".parquet"):
            table.to_parquet(path, index=False)
        elif path.name.endswith(".jsonl"):
            table.to_json(path, orient="records", lines=True)
        else:
            table.to_csv(path, index=False, sep=separator)

    return write


def _ranx(path: Path, lists: Lists) -> None:
    run_of(lists).save(str(path))


def _json_run(path: Path, lists: Lists) -> None:
    """As ranx writes it, which cannot where its code is run as Python."""
    run = {user: {item: 1 / place for place, item in enumerate(items, start=1)} for user, items in lists.items()}
    path.write_text(json.dumps(run, indent=2))


def _gzip(path: Path, lists: Lists) -> None:
    whole = path.with_suffix("")
    WRITERS[whole.name](whole, lists)
    path.write_bytes(gzip.compress(whole.read_bytes()))


WRITERS: dict[str, Callable[[Path, Lists], None]] = {
    "rectools.csv": _table({"user_id": "user_id", "item_id": "item_id", "score": "score", "rank": "rank"}),
    "rectools.parquet": _table({"user_id": "user_id", "item_id": "item_id", "score": "score", "rank": "rank"}),
    "lenskit.csv": _table({"item_id": "item", "score": "score", "user_id": "user", "rank": "rank"}),
    "replay.parquet": _table({"user_id": "user_idx", "item_id": "item_idx", "score": "relevance"}),
    "cornac.tsv": _table({"user_id": "user_id", "item_id": "item_id", "score": "predicted_rating"}, "\t"),
    "ranks.jsonl": _table({"user_id": "customer", "item_id": "product", "rank": "position"}),
    "run.json": _json_run,
    "run.trec": _ranx,
    "run.parquet": _ranx,
    "lenskit.csv.gz": _gzip,
    "run.json.gz": _gzip,
    "run.trec.gz": _gzip,
}
"""By the name of the file."""


def nested_json(path: Path) -> None:
    path.write_text(json.dumps({"101": {"10": {"deep": 1.0}}}))
