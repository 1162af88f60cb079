"""Fetching and importing against a local server: whole and checked, or nothing."""

import hashlib
import io
import json
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recformer.data.assemble import datasets, read_dataset
from recformer.data.sources import archives, download, transfer
from recformer.data.sources.download import Progress, fetch, import_zip, provenance
from recformer.data.sources.grouplens import SETS
from recformer.errors import DataError, DownloadError, UsageError
from tests.builders import SMALL, SMALL_MOVIES, write_csv, write_lines, write_ml1m, write_ml100k, write_recbole


def zip_of(folder: Path, top: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, top + path.name)
    return buffer.getvalue()


def zip_with(*members: tuple[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    buffer.seek(0)
    return buffer


class Server(ThreadingHTTPServer):
    """Serves `files` by name; says which byte each request began at."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.break_after: list[int] = []
        """Bytes after which the next requests break off."""
        self.begins: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.files.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        self.server.begins.append(begin)
        if begin and begin >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        body = content[begin:]
        if self.server.break_after:
            body = body[: self.server.break_after.pop(0)]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def archive(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small ml-1m.zip on the server, its checksum the published one."""
    content = zip_of(write_ml1m(tmp_path / "source", SMALL, SMALL_MOVIES), "ml-1m/")
    server.files["ml-1m.zip"] = content
    publish_as_known(monkeypatch, "ml-1m", content)
    monkeypatch.setenv("RECFORMER_GROUPLENS_URL", server.url)
    return content


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """pip is replaced: it puts a small wheel there. The arguments it got are returned."""
    source = write_recbole(tmp_path / "wheel", SMALL, SMALL_MOVIES)
    members = [(f"{download.WHEEL_FOLDER}ml-100k{path.suffix}", path.read_bytes()) for path in source.iterdir()]
    content = zip_with(*members, ("recbole/__init__.py", b"raise SystemExit")).getvalue()
    monkeypatch.setattr(download, "WHEEL_SHA256", hashlib.sha256(content).hexdigest())
    calls: list[list[str]] = []

    def pip(arguments: list[str]) -> None:
        calls.append(arguments)
        target = Path(arguments[arguments.index("-d") + 1])
        (target / "recbole-1.2.1-py3-none-any.whl").write_bytes(content)

    monkeypatch.setattr(download, "run_pip", pip)
    return calls


def publish_as_known(monkeypatch: pytest.MonkeyPatch, name: str, content: bytes) -> None:
    """Let `content` be the archive whose checksum is known."""
    monkeypatch.setitem(SETS, name, replace(SETS[name], md5=hashlib.md5(content).hexdigest()))


def silent(_: Progress) -> None:
    pass


def left_in(data: Path) -> list[str]:
    """What there is in data/, but for the locks."""
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_fetch_unpacks_a_dataset_that_loads(archive: bytes, data: Path) -> None:
    said: list[Progress] = []
    folder = fetch("ml-1m", data, said.append)
    assert folder == data / "ml-1m"
    assert read_dataset(folder).num_interactions == len(SMALL)
    assert left_in(data) == [f"ml-1m/{name}" for name in ("SOURCE.json", "movies.dat", "ratings.dat", "users.dat")]
    assert Progress("Downloading ml-1m", len(archive), len(archive)) in said
    assert datasets(data) == [folder]


def test_fetch_writes_where_the_data_came_from(archive: bytes, server: Server, data: Path) -> None:
    source = provenance(fetch("ml-1m", data, silent))
    assert source is not None
    assert source["source"] == f"{server.url}/ml-1m.zip"
    assert source["checksum"] == f"md5 {hashlib.md5(archive).hexdigest()}"
    assert "no redistribution" in source["licence"]


def test_provenance_is_none_where_there_is_no_record_or_a_damaged_one(tmp_path: Path) -> None:
    assert provenance(tmp_path) is None
    (tmp_path / "SOURCE.json").write_text("{")
    assert provenance(tmp_path) is None


@pytest.mark.usefixtures("archive")
def test_a_dataset_that_is_there_is_not_downloaded_again(server: Server, data: Path) -> None:
    fetch("ml-1m", data, silent)
    fetch("ml-1m", data, silent)
    assert server.begins == [0]


@pytest.mark.usefixtures("archive")
def test_something_else_in_the_place_of_the_dataset_is_left_alone(data: Path) -> None:
    (data / "ml-1m").mkdir(parents=True)
    (data / "ml-1m" / "notes.txt").write_text("mine")
    with pytest.raises(DownloadError, match="exists and is not a whole dataset"):
        fetch("ml-1m", data, silent)
    assert left_in(data) == ["ml-1m/notes.txt"]


@pytest.mark.usefixtures("archive")
def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(server: Server, data: Path) -> None:
    server.break_after = [100, 50]
    fetch("ml-1m", data, silent)
    assert server.begins == [0, 100, 150]


@pytest.mark.usefixtures("archive")
def test_an_interrupted_download_is_resumed_by_the_next_call(
    server: Server, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_ATTEMPTS", 1)
    server.break_after = [100]
    with pytest.raises(DownloadError, match="broke off in the middle"):
        fetch("ml-1m", data, silent)
    assert left_in(data) == [".downloads/ml-1m.part"]
    fetch("ml-1m", data, silent)
    assert server.begins == [0, 100]
    assert not (data / ".downloads" / "ml-1m.part").exists()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("part", ["a part of another file", "larger than the whole " * 1000])
def test_a_part_that_does_not_fit_is_downloaded_anew(
    part: str, ranges: bool, archive: bytes, server: Server, data: Path
) -> None:
    assert 30 < len(archive) < 20_000
    server.ranges = ranges
    (data / ".downloads").mkdir(parents=True)
    (data / ".downloads" / "ml-1m.part").write_text(part)
    assert read_dataset(fetch("ml-1m", data, silent)).num_interactions == len(SMALL)
    assert server.begins[-1] == 0


def test_a_part_that_is_whole_is_taken_as_it_is(archive: bytes, server: Server, data: Path) -> None:
    (data / ".downloads").mkdir(parents=True)
    (data / ".downloads" / "ml-1m.part").write_bytes(archive)
    fetch("ml-1m", data, silent)
    assert server.begins == [len(archive)]


@pytest.mark.usefixtures("archive")
def test_a_wrong_checksum_names_both_sums_and_keeps_nothing(server: Server, data: Path) -> None:
    server.files["ml-1m.zip"] = b"<html>please sign in</html>"
    with pytest.raises(DownloadError) as caught:
        fetch("ml-1m", data, silent)
    assert str(SETS["ml-1m"].md5) in str(caught.value)
    assert hashlib.md5(b"<html>please sign in</html>").hexdigest() in str(caught.value)
    assert left_in(data) == []


def test_a_wrong_checksum_of_ml_100k_does_not_fall_back(server: Server, data: Path, wheel: list[list[str]]) -> None:
    server.files["ml-100k.zip"] = b"something else"
    with pytest.raises(DownloadError, match="nothing of it was kept"):
        fetch("ml-100k", data, silent, server.url)
    assert wheel == []
    assert left_in(data) == []


def test_ml_100k_comes_from_grouplens_where_it_answers(
    server: Server, data: Path, wheel: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zip_of(write_ml100k(tmp_path / "source", SMALL, SMALL_MOVIES), "ml-100k/")
    server.files["ml-100k.zip"] = content
    publish_as_known(monkeypatch, "ml-100k", content)
    assert read_dataset(fetch("ml-100k", data, silent, server.url)).reader == "movielens_100k"
    assert wheel == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "SERVER"])
def test_ml_100k_comes_from_the_wheel_where_grouplens_does_not_answer(
    url: str, server: Server, data: Path, wheel: list[list[str]]
) -> None:
    folder = fetch("ml-100k", data, silent, url.replace("SERVER", server.url))  # nobody there; 404
    assert read_dataset(folder).reader == "recbole"
    assert left_in(data) == [f"ml-100k/{name}" for name in ("SOURCE.json", *sorted(download.WHEEL_FILES))]
    assert "--no-deps" in wheel[0]
    assert wheel[0][-1] == "recbole==1.2.1"
    source = provenance(folder)
    assert source is not None
    assert source["source"] == "wheel recbole 1.2.1"


@pytest.mark.usefixtures("wheel")
def test_a_wheel_with_a_wrong_checksum_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(DownloadError, match="0" * 64):
        fetch("ml-100k", data, silent, "http://127.0.0.1:9")
    assert left_in(data) == []


def test_both_reasons_are_said_when_neither_source_is_there(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pip(_: list[str]) -> None:
        raise DownloadError("pip failed with exit code 1 and said: no route")

    monkeypatch.setattr(download, "run_pip", no_pip)
    with pytest.raises(DownloadError) as caught:
        fetch("ml-100k", data, silent, "http://127.0.0.1:9")
    for word in ("127.0.0.1:9", "no route", "by hand", "--data"):
        assert word in str(caught.value)


def test_run_pip_says_what_pip_said() -> None:
    with pytest.raises(DownloadError, match="pip failed with exit code"):
        download.run_pip(["no-such-command"])


def test_ml_1m_that_cannot_be_reached_says_what_to_do_by_hand(data: Path) -> None:
    with pytest.raises(DownloadError, match=r"download ml-1m\.zip by hand"):
        fetch("ml-1m", data, silent, "http://127.0.0.1:9")


def test_an_unknown_name_is_refused(data: Path) -> None:
    with pytest.raises(UsageError, match="allowed: ml-100k, ml-1m, ml-latest-small, ml-10m"):
        fetch("../ml-1m", data, silent)


@pytest.mark.usefixtures("archive")
def test_of_two_fetches_at_once_one_downloads(server: Server, data: Path) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch("ml-1m", data, lambda _: time.sleep(0.05))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [data / "ml-1m"] * 3
    assert server.begins == [0]


@pytest.mark.usefixtures("archive")
def test_what_a_killed_fetch_left_is_cleared_away(data: Path) -> None:
    leftover = data / ".unpack~ml-1m~abc"
    leftover.mkdir(parents=True)
    (leftover / "ratings.dat").write_text("half")
    fetch("ml-1m", data, silent)
    assert not leftover.exists()


@pytest.mark.parametrize("top", ["", "ml-1m/"])
def test_an_imported_archive_lands_under_the_name_of_its_file(top: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "My MovieLens (1M).zip"
    path.write_bytes(zip_of(write_ml1m(tmp_path / "source", SMALL, SMALL_MOVIES), top))
    folder = import_zip(path, None, data, silent)
    assert folder == data / "my-movielens-1m"
    assert read_dataset(folder).num_interactions == len(SMALL)


def test_the_original_archive_imported_by_hand_is_recognised(archive: bytes, data: Path) -> None:
    source = provenance(import_zip(io.BytesIO(archive), "mine", data, silent, "ml-1m.zip"))
    assert source is not None
    assert "GroupLens' original ml-1m.zip" in source["source"]


def test_an_imported_archive_does_not_replace_a_dataset(archive: bytes, data: Path) -> None:
    fetch("ml-1m", data, silent)
    with pytest.raises(DownloadError, match="choose another name"):
        import_zip(io.BytesIO(archive), "ml-1m", data, silent)


def test_a_name_that_leads_elsewhere_is_refused(archive: bytes, data: Path) -> None:
    with pytest.raises(UsageError, match="not allowed"):
        import_zip(io.BytesIO(archive), "../elsewhere", data, silent)


def test_an_imported_dataset_with_a_fault_is_refused_by_its_line(data: Path, tmp_path: Path) -> None:
    source = write_ml1m(tmp_path / "source", SMALL, SMALL_MOVIES)
    (source / "ratings.dat").write_text("1::10::4::978300020\n1::10::4\n")
    with pytest.raises(DataError) as caught:
        import_zip(io.BytesIO(zip_of(source)), "mine", data, silent, "mine.zip")
    assert str(caught.value).startswith("mine.zip/ratings.dat, line 2: 3 fields in")
    assert left_in(data) == []


def test_an_archive_without_a_dataset_is_refused(data: Path) -> None:
    with pytest.raises(DataError, match=r"mine\.zip is no dataset of a known format"):
        import_zip(zip_with(("a/readme.txt", b"hello")), "mine", data, silent, "mine.zip")
    assert left_in(data) == []


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.txt", "leads outside"),
        ("a/../../evil.txt", "leads outside"),
        ("/tmp/evil.txt", "leads outside"),
        ("C:/evil.txt", "leads outside"),
        ("..\\evil.txt", "leads outside"),
        ("a\\evil.txt", "backslash"),
        (link("ratings.dat"), "is a link"),
    ],
)
def test_an_archive_that_leads_outside_is_refused(name: str | zipfile.ZipInfo, said: str, data: Path) -> None:
    with pytest.raises(DownloadError, match=said):
        import_zip(zip_with(("ok/ratings.dat", b"1"), (name, b"evil")), "mine", data, silent)
    assert left_in(data) == []
    assert not (data.parent / "evil.txt").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 10)
    with pytest.raises(DownloadError, match="at most 10"):
        import_zip(zip_with(("ratings.dat", b"0" * 11)), "mine", data, silent)
    monkeypatch.setattr(archives, "MAX_FILES", 1)
    with pytest.raises(DownloadError, match="holds 2 files"):
        import_zip(zip_with(("a", b""), ("b", b"")), "mine", data, silent)
    assert left_in(data) == []


def test_an_encrypted_archive_is_refused(data: Path) -> None:
    content = bytearray(zip_with(("ratings.dat", b"secret")).getvalue())
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + place] |= 0x1
    with pytest.raises(DownloadError, match="is encrypted"):
        import_zip(io.BytesIO(bytes(content)), "mine", data, silent)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "flipped"])
def test_a_broken_archive_is_refused(damage: str, archive: bytes, data: Path) -> None:
    place = len(archive) // 3
    content = {
        "cut": archive[: len(archive) // 2],
        "text": b"not an archive",
        "empty": b"",
        "flipped": archive[:place] + bytes([archive[place] ^ 0xFF]) + archive[place + 1 :],
    }[damage]
    with pytest.raises(DownloadError, match=r"mine\.zip is not a whole zip archive"):
        import_zip(io.BytesIO(content), "mine", data, silent, "mine.zip")
    assert left_in(data) == []


def test_a_missing_file_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"gone\.zip cannot be read"):
        import_zip(tmp_path / "gone.zip", None, data, silent)


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch("ml-1m", tmp_path / "file", silent)


def test_source_json_is_plain_json(archive: bytes, data: Path) -> None:
    assert len(archive) > 0
    folder = fetch("ml-1m", data, silent)
    assert set(json.loads((folder / "SOURCE.json").read_text())) == {"source", "checksum", "fetched_at", "licence"}


def real_ml_10m(folder: Path) -> bytes:
    """An archive as ml-10m.zip is: ratings with halves, no users, scripts beside them, another top folder."""
    write_lines(folder / "ratings.dat", ["1::122::5::838985046", "1::185::4.5::838983525", "2::185::0.5::868245777"])
    write_lines(
        folder / "movies.dat", ["122::Boomerang (1992)::Comedy|Romance", "185::Net, The (1995)::(no genres listed)"]
    )
    write_lines(folder / "tags.dat", ["15::4973::excellent!::1215184630"])
    write_lines(folder / "README.html", ["<h1>10M</h1>"])
    write_lines(folder / "allbut.pl", ["#!/usr/bin/perl"])
    return zip_of(folder, "ml-10M100K/")


def real_csv(name: str) -> Callable[[Path], bytes]:
    """An archive as those of ml-latest-small and the larger ones: CSV with tags and links beside it."""

    def write(folder: Path) -> bytes:
        write_csv(folder, SMALL, SMALL_MOVIES)
        write_lines(folder / "links.csv", ["movieId,imdbId,tmdbId", "10,0114709,862"])
        write_lines(folder / "tags.csv", ["userId,movieId,tag,timestamp", "1,10,pixar,978300020"])
        write_lines(folder / "README.txt", ["Summary"])
        return zip_of(folder, f"{name}/")

    return write


ASKED_FOR = {name: real_csv(name) for name, known in SETS.items() if known.md5 is None} | {"ml-10m": real_ml_10m}


def publish(server: Server, name: str, content: bytes, spelled: str = "{md5}  {name}.zip\n") -> None:
    """Put an archive on the server, and the file with its checksum beside it."""
    server.files[f"{name}.zip"] = content
    md5 = hashlib.md5(content).hexdigest()
    server.files[f"{name}.zip.md5"] = spelled.format(md5=md5, name=name).encode()


def test_the_sets_are_those_that_grouplens_gives_out() -> None:
    assert list(SETS) == ["ml-100k", "ml-1m", "ml-latest-small", "ml-10m", "ml-20m", "ml-25m", "ml-32m"]


@pytest.mark.parametrize("name", ASKED_FOR)
def test_a_set_whose_checksum_is_asked_for_is_fetched_and_read(
    name: str, server: Server, data: Path, tmp_path: Path
) -> None:
    content = ASKED_FOR[name](tmp_path / "source")
    publish(server, name, content)
    folder = fetch(name, data, silent, server.url)
    dataset = read_dataset(folder)
    assert dataset.num_interactions == (3 if name == "ml-10m" else len(SMALL))
    assert dataset.reader == ("movielens_dat" if name == "ml-10m" else "movielens_csv")
    source = provenance(folder)
    assert source is not None
    assert source["checksum"] == f"md5 {hashlib.md5(content).hexdigest()}"


def test_ml_10m_has_half_stars_movies_without_genres_and_no_users_table(
    server: Server, data: Path, tmp_path: Path
) -> None:
    publish(server, "ml-10m", real_ml_10m(tmp_path / "source"))
    dataset = read_dataset(fetch("ml-10m", data, silent, server.url))
    assert dataset.ratings is not None
    assert dataset.ratings.tolist() == [4.5, 5, 0.5]
    assert list(dataset.item_table["genre"]) == [["Comedy", "Romance"], []]
    assert list(dataset.user_table) == ["user_id"]


@pytest.mark.parametrize("spelled", ["MD5 ({name}.zip) = {md5}\n", "{md5}\n", "{md5} *{name}.zip\r\n"])
def test_a_checksum_is_read_however_the_tool_that_made_it_spells_it(
    spelled: str, server: Server, data: Path, tmp_path: Path
) -> None:
    publish(server, "ml-25m", real_csv("ml-25m")(tmp_path / "source"), spelled)
    assert read_dataset(fetch("ml-25m", data, silent, server.url)).num_interactions == len(SMALL)


def test_an_archive_without_a_published_checksum_is_not_downloaded(server: Server, data: Path, tmp_path: Path) -> None:
    server.files["ml-32m.zip"] = real_csv("ml-32m")(tmp_path / "source")
    with pytest.raises(DownloadError, match=r"ml-32m\.zip\.md5, its checksum, answered 404.*by hand"):
        fetch("ml-32m", data, silent, server.url)
    assert server.begins == []
    assert left_in(data) == []


@pytest.mark.parametrize("said", [b"", b"<html>please sign in</html>", b"0" * 31, b"a" * 32 + b" " + b"b" * 32])
def test_a_file_of_checksums_that_holds_none_is_told(said: bytes, server: Server, data: Path) -> None:
    server.files |= {"ml-20m.zip": b"", "ml-20m.zip.md5": said}
    with pytest.raises(DownloadError, match=r"ml-20m\.zip\.md5 holds not one checksum"):
        fetch("ml-20m", data, silent, server.url)
    assert server.begins == [0]


def test_an_archive_that_is_not_of_its_published_checksum_is_not_kept(
    server: Server, data: Path, tmp_path: Path
) -> None:
    publish(server, "ml-20m", real_csv("ml-20m")(tmp_path / "source"))
    server.files["ml-20m.zip"] += b"more"
    with pytest.raises(DownloadError, match="nothing of it was kept"):
        fetch("ml-20m", data, silent, server.url)
    assert left_in(data) == []


def test_a_cut_download_of_a_large_set_goes_on_where_it_broke(
    server: Server, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_ATTEMPTS", 1)
    publish(server, "ml-25m", real_csv("ml-25m")(tmp_path / "source"))
    server.break_after = [1000, 100]  # of the checksum nothing is cut
    with pytest.raises(DownloadError, match="broke off in the middle"):
        fetch("ml-25m", data, silent, server.url)
    fetch("ml-25m", data, silent, server.url)
    assert server.begins == [0, 0, 0, 100]


def test_an_archive_that_changed_since_a_download_broke_off_is_fetched_anew(
    server: Server, data: Path, tmp_path: Path
) -> None:
    (data / ".downloads").mkdir(parents=True)
    (data / ".downloads" / "ml-latest-small.part").write_bytes(b"of last year's archive")
    publish(server, "ml-latest-small", real_csv("ml-latest-small")(tmp_path / "source"))
    assert read_dataset(fetch("ml-latest-small", data, silent, server.url)).num_interactions == len(SMALL)


def test_a_fetched_archive_with_a_path_outside_is_refused(server: Server, data: Path) -> None:
    members = (("ml-25m/ratings.csv", b"userId,movieId,rating,timestamp\n"), ("ml-25m/../../evil.txt", b"evil"))
    publish(server, "ml-25m", zip_with(*members).getvalue())
    with pytest.raises(DownloadError, match="leads outside"):
        fetch("ml-25m", data, silent, server.url)
    assert left_in(data) == []
    assert not (data.parent / "evil.txt").exists()
