"""Which requests the server refuses, what it says then, and who is told that others can reach it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from streamlit import config
from streamlit.testing.v1 import AppTest

from recformer.files import stamps
from recformer.files.names import PROJECT
from recformer.run import overview
from recformer.run.paths import Root
from recformer.ui.server import is_loopback, open_to_others, refusal_of
from recformer.ui.server_start import prepare

OWN = {"localhost", "127.0.0.1", "::1"}
NAMES = st.from_regex(r"[a-z0-9.:@/?#\[\] -]{0,20}", fullmatch=True) | st.text(st.characters(max_codepoint=255))
PORTS = st.integers(1, 65_535)


@pytest.fixture
def option() -> Iterator[Callable[[str, object], None]]:
    """Sets one of Streamlit's options until the test ends."""
    before: dict[str, object] = {}

    def set_option(name: str, value: object) -> None:
        before.setdefault(name, config.get_option(name))
        config.set_option(name, value)

    yield set_option
    for name, value in before.items():
        config.set_option(name, value)


def refusal(host: str | None, origin: str | None = None) -> str | None:
    fields = {"host": host, "origin": origin}
    return refusal_of(Headers({name: value for name, value in fields.items() if value is not None}))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8501", "LOCALHOST:1", "localhost.", "127.0.0.1", "127.0.0.1:8501", "[::1]:8501"]
)
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert refusal(host) is None
    assert refusal(host, f"http://{host}") is None


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.test",
        "evil.test:8501",
        "0.0.0.0:8501",
        "192.168.1.5:8501",
        "localhost.evil.test",
        "evil-localhost",
        "127.0.0.1.evil.test",
        "localhost@evil.test",
        "evil.test@localhost",
        "localhost:port",
        "localhost, evil.test",
        "[::2]",
        "2130706433",
    ],
)
def test_every_other_name_is_refused_and_named(host: str | None) -> None:
    words = refusal(host)
    assert words is not None
    assert repr(host or "") in words and "localhost, 127.0.0.1, ::1" in words
    assert "allowedHosts in .streamlit/config.toml" in words


@given(NAMES, PORTS)
def test_only_names_of_this_machine_are_ever_answered(name: str, port: int) -> None:
    if refusal(f"{name}:{port}") is None:
        assert name.rstrip(".").strip("[]") in OWN


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "http://localhost:3000",  # another server on this machine is another site
        "http://localhost",
        "http://127.0.0.1:8501",  # the person opened localhost: a page of the other name is not the app's
        "http://localhost:8501.evil.test",
        "http://evil.test/localhost:8501",
        "null",
        "",
    ],
)
def test_a_page_of_any_other_site_is_refused_and_named(origin: str) -> None:
    words = refusal("localhost:8501", origin)
    assert words is not None and repr(origin) in words


@given(NAMES, PORTS)
def test_only_pages_of_the_very_name_and_port_asked_are_ever_answered(name: str, port: int) -> None:
    if refusal("localhost:8501", f"http://{name}:{port}") is None:
        assert (name, port) == ("localhost", 8501)


def test_a_refusal_repeats_only_a_harmless_part_of_what_was_sent() -> None:
    words = refusal("é\x1b[31m" * 10_000)
    assert words is not None and words.isascii() and "\x1b" not in words and len(words) < 2000


def test_names_and_pages_that_were_allowed_are_answered(option: Callable[[str, object], None]) -> None:
    option("server.allowedHosts", ["recformer.example.org", "*.lab.example"])
    assert refusal("recformer.example.org", "https://recformer.example.org") is None
    assert refusal("gpu.lab.example:80") is None
    assert refusal("localhost") is not None
    assert refusal("gpu.lab.example", "https://portal.example") is not None
    option("server.corsAllowedOrigins", ["https://portal.example"])
    assert refusal("gpu.lab.example", "https://portal.example") is None


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("fe80::1", False),
        ("gpu.lab.example", False),
        ("localhost.evil.test", False),
    ],
)
def test_only_loopback_addresses_are_reached_from_this_machine_alone(address: str, alone: bool) -> None:
    assert is_loopback(address) == alone


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("0.0.0.0", "port 8501 of this machine"),
        ("::", "port 8501 of this machine"),
        (None, "port 8501 of this machine"),
        ("192.168.1.5", "192.168.1.5, port 8501,"),
    ],
)
def test_an_address_beyond_this_machine_is_said_in_one_line(
    option: Callable[[str, object], None], address: str | None, place: str
) -> None:
    assert open_to_others() is None
    option("server.address", address)
    words = open_to_others()
    assert words is not None and "\n" not in words
    assert f"Anyone who reaches {place} can use the app" in words and "no login" in words


def test_home_says_so_only_where_others_can_reach_it(
    option: Callable[[str, object], None], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60).run()
    assert not [warning for warning in app.warning if "Anyone who reaches" in str(warning.value)]
    option("server.address", "0.0.0.0")
    app.run()
    assert len([warning for warning in app.warning if "Anyone who reaches" in str(warning.value)]) == 1


def test_the_section_that_the_answers_name_is_in_the_readme() -> None:
    assert "\n## Opening it to others\n" in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_while_the_server_starts_the_records_of_all_runs_are_read_for_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("runs", "models"):
        shutil.copytree(PROJECT / place / "demo-baseline", tmp_path / place / "demo-baseline")
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    monkeypatch.setattr(stamps, "SETTLED_NS", -60_000_000_000)  # what was copied just now counts as settled
    prepare()
    monkeypatch.setattr(overview, "_summary", lambda *_: pytest.fail("a record was read again"))
    assert [run.run_id for run in overview.list_runs(Root(tmp_path))[0]] == ["demo-baseline"]


def test_runs_that_cannot_be_read_do_not_keep_the_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").write_text("not a folder")
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    prepare()
