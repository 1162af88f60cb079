"""Posters: what is found, what is refused, and that a damaged image only loses its own picture."""

import base64
import io
import socket
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from recformer.data.dataset import Dataset
from recformer.errors import StoreError, UsageError
from recformer.recommend.posters import SIZE, change_place, found_in, place_of, thumbnail
from recformer.run.paths import Root
from tests.builders import dataset_of

IDS = pd.Index([10, 11, 12, 13])


@pytest.fixture
def dataset() -> Dataset:
    return dataset_of([[0, 1, 2]], num_items=4)  # movies 10 to 13


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def image(path: Path, size: tuple[int, int] = (200, 300), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)
    return path


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_images_are_found_by_the_movies_id_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("10.jpg", "11.PNG", "12.webp", "cover.jpg", "13.gif"):
        image(tmp_path / name)
    assert found_in(tmp_path, IDS) == {10: f"{tmp_path}/10.jpg", 11: f"{tmp_path}/11.PNG", 12: f"{tmp_path}/12.webp"}


def test_links_are_read_whatever_other_columns_there_are(tmp_path: Path) -> None:
    text = "title,url,item_id\nHeat,https://example.org/a.jpg?x=1,10\n,http://example.org/b, 11\n"
    assert found_in(table(tmp_path / "links.csv", text), IDS) == {
        10: "https://example.org/a.jpg?x=1",
        11: "http://example.org/b",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,link\n1,http://a.org\n", "no column item_id: its first line must name item_id and url"),
        ("item_id,url\n10,javascript:alert(1)\n", "line 2: 'javascript:alert(1)' is no address that begins with http"),
        ("item_id,url\n10,http://a.org\n11,file:///etc/passwd\n", "line 3: 'file:///etc/passwd'"),
        ("item_id,url\n10,data:image/png;base64,AAAA\n", "line 2: 'data:image/png;base64'"),
        ("item_id,url\n10,http://\n", "line 2: 'http://'"),
        ("item_id,url\n10,http://[x\n", "line 2: 'http://[x'"),
        ("item_id,url\n10\n", "line 2: ''"),
        ("", "no column item_id"),
    ],
)
def test_a_table_with_a_fault_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        found_in(table(tmp_path / "links.csv", text), IDS)
    assert message in str(error.value)


def test_a_table_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "links.csv").write_bytes(b"item_id,url\n10,\xff\xfe\n")
    with pytest.raises(UsageError, match="no CSV in UTF-8"):
        found_in(tmp_path / "links.csv", IDS)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv"])
def test_a_place_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        found_in(tmp_path / name, IDS)


def test_a_place_is_remembered_for_its_dataset_alone(root: Root, tmp_path: Path, dataset: Dataset) -> None:
    image(tmp_path / "own" / "10.jpg")
    other = dataset_of([[0, 2, 1]], num_items=4)
    assert place_of(root, dataset) is None
    assert change_place(root, dataset, f" {tmp_path / 'own'} ") == tmp_path / "own"
    links = table(tmp_path / "links.csv", "item_id,url\n11,https://a.org/x.jpg\n")
    change_place(root, other, str(links))
    assert (place_of(root, dataset), place_of(root, other)) == (tmp_path / "own", links)
    assert change_place(root, dataset, "") is None
    assert (place_of(root, dataset), place_of(root, other)) == (None, links)


def test_a_place_without_a_poster_of_this_dataset_is_refused_and_the_old_one_stays(
    root: Root, tmp_path: Path, dataset: Dataset
) -> None:
    image(tmp_path / "own" / "10.jpg")
    image(tmp_path / "others" / "99.jpg")
    change_place(root, dataset, str(tmp_path / "own"))
    with pytest.raises(UsageError, match=r"holds no image of a movie of in memory: name images .* 10\.jpg"):
        change_place(root, dataset, str(tmp_path / "others"))
    assert place_of(root, dataset) == tmp_path / "own"


def test_a_damaged_record_is_told(root: Root, dataset: Dataset) -> None:
    root.runs.mkdir(parents=True)
    (root.runs / ".posters.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        place_of(root, dataset)


@pytest.mark.parametrize(("ending", "mode"), [("jpg", "RGB"), ("png", "RGBA"), ("webp", "RGB"), ("png", "P")])
def test_a_thumbnail_is_a_small_jpeg_within_its_address(tmp_path: Path, ending: str, mode: str) -> None:
    address = thumbnail(image(tmp_path / f"10.{ending}", (2000, 3000), mode))
    assert address is not None and address.startswith("data:image/jpeg;base64,")
    assert len(address) < 20_000
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as small:
        assert small.size == SIZE


def test_what_is_no_image_gives_no_thumbnail(tmp_path: Path) -> None:
    whole = image(tmp_path / "10.jpg", (800, 1200)).read_bytes()
    (tmp_path / "11.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "12.jpg").write_bytes(b"no image")
    (tmp_path / "13.jpg").mkdir()
    assert [thumbnail(tmp_path / f"{item}.jpg") for item in (11, 12, 13, 14)] == [None] * 4


def test_an_image_of_more_pixels_than_a_poster_can_have_is_left_out(tmp_path: Path) -> None:
    assert thumbnail(image(tmp_path / "10.png", (9000, 9000), "1")) is None


def test_a_table_of_links_opens_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert found_in(table(tmp_path / "links.csv", "item_id,url\n10,https://example.org/a.jpg\n"), IDS)
