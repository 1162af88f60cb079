"""Where a run's data are found: as recorded, or wherever in data/ the same data lie."""

import shutil
from pathlib import Path

import pytest

from recformer.data.sources.linking import link_folder
from recformer.errors import DataError
from recformer.run.find_dataset import MissingDatasetError, find_dataset
from recformer.run.paths import Root
from recformer.run.record import RunDataset, run_dataset
from tests.builders import dataset_in, sequences, write_ml1m

OTHER = sequences(seed=1)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def origin_in(root: Root, folder: Path) -> RunDataset:
    return run_dataset(root, dataset_in(folder))


def test_data_are_found_where_they_were(root: Root, tmp_path: Path) -> None:
    origin = origin_in(root, tmp_path / "elsewhere" / "small")
    assert find_dataset(root, origin).source == tmp_path / "elsewhere" / "small"


@pytest.mark.parametrize("name", ["small", "another-name", "archive/inner"])
def test_data_that_were_moved_into_the_root_are_found_by_their_fingerprint(
    name: str, root: Root, tmp_path: Path
) -> None:
    origin = origin_in(root, tmp_path / "elsewhere" / "small")
    write_ml1m(root.data / "decoy", OTHER)
    (root.data / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(tmp_path / "elsewhere" / "small", root.data / name)
    found = find_dataset(root, origin)
    assert (found.source, found.fingerprint) == (root.data / name, origin.fingerprint)


def test_where_other_data_took_their_place_the_same_data_are_found_elsewhere(root: Root, tmp_path: Path) -> None:
    origin = origin_in(root, tmp_path / "small")
    shutil.move(tmp_path / "small", root.data / "kept")
    write_ml1m(tmp_path / "small", OTHER)
    assert find_dataset(root, origin).source == root.data / "kept"


def test_where_only_other_data_are_left_they_are_given_and_not_called_missing(root: Root, tmp_path: Path) -> None:
    origin = origin_in(root, tmp_path / "small")
    shutil.rmtree(tmp_path / "small")
    write_ml1m(tmp_path / "small", OTHER)
    assert find_dataset(root, origin).fingerprint != origin.fingerprint


def test_data_that_became_unreadable_are_found_elsewhere_or_say_why(root: Root, tmp_path: Path) -> None:
    origin = origin_in(root, root.data / "small")
    shutil.copytree(root.data / "small", tmp_path / "copy")
    (root.data / "small" / "movies.dat").unlink()
    with pytest.raises(DataError, match=r"movies\.dat missing"):
        find_dataset(root, origin)
    link_folder(tmp_path / "copy", root.data)
    assert find_dataset(root, origin).source == root.data / "copy"


def test_a_run_that_never_began_is_known_by_the_name_of_its_data(root: Root, tmp_path: Path) -> None:
    write_ml1m(root.data / "other", OTHER)
    origin = RunDataset(name="small", fingerprint="", path=str(tmp_path / "gone" / "small"))
    with pytest.raises(MissingDatasetError):
        find_dataset(root, origin)
    write_ml1m(root.data / "small", sequences())
    assert find_dataset(root, origin).source == root.data / "small"


def test_missing_data_are_named_with_what_to_do_in_each_place(root: Root) -> None:
    with pytest.raises(MissingDatasetError) as caught:
        find_dataset(root, RunDataset(name="ml-100k", fingerprint="0" * 16, path="/nowhere/ml-100k"))
    assert str(caught.value) == (
        f"the dataset ml-100k is not in /nowhere/ml-100k, and nothing in {root.data} is it. Fetch it: data fetch "
        "ml-100k, or say where it is: --data DIR"
    )
    assert caught.value.on_page.endswith("Say below where it is, or download it on the Data page")


def test_a_linked_folder_stays_linked_once_and_a_taken_name_gets_a_number(root: Root, tmp_path: Path) -> None:
    first = write_ml1m(tmp_path / "a" / "Small Set", sequences())
    second = write_ml1m(tmp_path / "b" / "Small Set", OTHER)
    assert link_folder(first, root.data) == link_folder(first, root.data) == root.data / "small-set"
    assert link_folder(second, root.data) == root.data / "small-set-2"
    assert (root.data / "small-set-2").resolve() == second


def test_a_link_to_where_nothing_is_any_more_is_made_anew(root: Root, tmp_path: Path) -> None:
    first = write_ml1m(tmp_path / "a" / "small", sequences())
    link_folder(first, root.data)
    shutil.move(first, tmp_path / "small")
    assert link_folder(tmp_path / "small", root.data) == root.data / "small"
    assert (root.data / "small").resolve() == tmp_path / "small"


def test_a_folder_of_other_data_is_refused_where_certain_data_are_looked_for(root: Root, tmp_path: Path) -> None:
    origin = origin_in(root, tmp_path / "small")
    other = write_ml1m(tmp_path / "other", OTHER)
    with pytest.raises(DataError, match=f"not {origin.fingerprint}. Name another folder"):
        link_folder(other, root.data, origin.fingerprint)
    with pytest.raises(DataError, match="is no folder on this machine"):
        link_folder(tmp_path / "nowhere", root.data)
    assert not root.data.exists() or not [entry for entry in root.data.iterdir() if entry.name != ".cache"]
