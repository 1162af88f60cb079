"""The parts of a split as files: together they are the data, and read again they give the same sequences."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.config import parse_section
from recformer.data.cache import load
from recformer.data.export import ExportFormat, export
from recformer.data.guess import Said, guess
from recformer.data.mapping import Settings, write_settings
from recformer.errors import UsageError
from tests.builders import dataset_of, parts_of
from tests.effort import examples

LAST_OUT = parse_section("split", "leave_last_out")
KINDS: list[ExportFormat] = ["recbole", "csv", "parquet", "sequences"]
HISTORIES = st.lists(st.lists(st.integers(0, 7), min_size=3, max_size=8), min_size=1, max_size=5)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(15), deadline=None)
@given(histories=HISTORIES)
def test_what_was_exported_and_is_added_again_is_the_same_data_and_split(
    kind: ExportFormat, histories: list[list[int]]
) -> None:
    dataset = dataset_of(histories, 8)
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out"
        export(dataset, LAST_OUT, kind, out)
        (out / "README.md").unlink()
        found = guess(out, Said(format="sequences") if kind == "sequences" else None)
        write_settings(out, Settings(mapping=found.mapping))
        again = load(out, Path(name) / "cache")
        assert again.parts is not None
        assert again.parts.tolist() == parts_of(dataset.offsets).tolist()
        assert again.item_ids[again.items].tolist() == dataset.item_ids[dataset.items].tolist()
        if kind != "sequences":
            assert again.timestamps.tolist() == dataset.timestamps.tolist()


def test_the_parts_and_the_readme_of_one_small_dataset(tmp_path: Path) -> None:
    files = export(dataset_of([[0, 1, 2, 3], [4]], 5), LAST_OUT, "csv", tmp_path / "out")
    assert [path.name for path in files] == ["train.csv", "validation.csv", "test.csv", "README.md"]
    assert pd.read_csv(files[0])[["user_id", "item_id"]].to_numpy().tolist() == [[100, 10], [100, 11], [101, 14]]
    assert pd.read_csv(files[2])[["user_id", "item_id"]].to_numpy().tolist() == [[100, 13]]
    text = files[3].read_text()
    assert "`train.csv`: train, 3 interactions" in text and "rank all 5 items" in text


def test_what_is_there_is_never_written_over_and_windows_are_no_tables(tmp_path: Path) -> None:
    dataset = dataset_of([[0, 1, 2, 3]], 5)
    with pytest.raises(UsageError, match="is there already"):
        export(dataset, LAST_OUT, "csv", tmp_path)
    with pytest.raises(UsageError, match="overlap"):
        export(dataset, parse_section("split", "random_windows"), "csv", tmp_path / "out")
