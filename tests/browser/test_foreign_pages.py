"""Other sites' pages in a real Chromium get nothing of the app: by a name made to lead here, by a socket, or in a frame."""

import http.client
import json
import shutil
import socketserver
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from recformer.files.names import PROJECT
from tests.browser.app import PATIENCE_MS, serving
from tests.browser.chromium import ARGUMENTS, installed
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
# Each kind of thing that the server gives: page, deep link, state, script, file of a run, upload, part of a component.
PATHS = [
    "/",
    "/compare",
    "/_stcore/health",
    "/_stcore/host-config",
    "/static/index.html",
    "/media/0123456789abcdef.html",
    "/_stcore/upload_file/session/file",
    "/component/any/index.html",
]
SOCKET_OPENS = """url => new Promise(done => {
    const socket = new WebSocket(url);
    socket.onopen = () => done(true);
    socket.onerror = () => done(false);
})"""
FETCHED = """url => fetch(url).then(answer => answer.text()).catch(() => "unreadable")"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("root")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for which evil.test leads to this machine, as a name server of an attacker's would say."""
    path = installed()
    assert path, "no Chromium: run python -m tests.browser.chromium, which gets one or says how"
    mapped = "--host-resolver-rules=MAP evil.test 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, mapped])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


@pytest.fixture
def other_site(address: str) -> Iterator[str]:
    """Another server on this machine, whose page shows the app in a frame."""

    class Framing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f"<title>other</title><iframe src='{address}/'></iframe>".encode())

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Framing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def port_of(address: str) -> int:
    port = urlsplit(address).port
    assert port
    return port


def status(address: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers of what a request with these headers is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(address), timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def socket_status(address: str, **headers: str) -> int:
    """What the server answers to the beginning of a WebSocket: 101 where it opens."""
    beginning = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    return status(address, "/_stcore/stream", **beginning, **headers)[0]


def shows_home(page: Page) -> None:
    expect(page.get_by_role("heading", name="Home")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_given_to_a_foreign_name_or_page_and_all_forbids_frames(address: str, path: str) -> None:
    port = port_of(address)
    for foreign in ({"Host": f"evil.test:{port}"}, {"Host": f"localhost:{port}", "Origin": "http://evil.test"}):
        code, headers = status(address, path, **foreign)
        assert code == 403 and headers["content-type"].startswith("text/plain")
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "SAMEORIGIN"
    for host in ("localhost", "127.0.0.1", "[::1]"):
        code, headers = status(address, path, Host=f"{host}:{port}")
        assert code != 403
        assert headers["content-security-policy"] == "frame-ancestors 'self'", path
        assert headers["x-frame-options"] == "SAMEORIGIN", path


def test_no_other_site_may_send_the_page_commands(address: str) -> None:
    """Streamlit's page obeys messages of the sites that it names here, by default anyone's app in its cloud."""
    with urllib.request.urlopen(f"{address}/_stcore/host-config", timeout=30) as answer:
        assert json.load(answer)["allowedOrigins"] == []


def test_the_socket_opens_for_own_names_and_pages_only(address: str) -> None:
    own = f"localhost:{port_of(address)}"
    assert socket_status(address, Host=own) == 101
    assert socket_status(address, Host=own, Origin=f"http://{own}") == 101
    assert socket_status(address, Host="localhost:9000", Origin="http://localhost:9000") == 101  # through ssh -L 9000:…
    assert socket_status(address, Host="evil.test") == 403
    assert socket_status(address, Host="evil.test", Origin="http://evil.test") == 403
    assert socket_status(address, Host=own, Origin="http://localhost:3000") == 403
    assert socket_status(address, Host=own, Origin="null") == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_app_works_by_the_names_of_this_machine(address: str, page: Page, name: str) -> None:
    page.goto(f"http://{name}:{port_of(address)}/")
    shows_home(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Data").click()
    expect(page.get_by_role("heading", name="Data")).to_be_visible(timeout=PATIENCE_MS)


def test_a_name_made_to_lead_here_gets_neither_page_nor_socket(address: str, page: Page) -> None:
    port = port_of(address)
    answer = page.goto(f"http://evil.test:{port}/")
    assert answer and answer.status == 403
    assert "does not answer to the name 'evil.test" in page.inner_text("body")
    assert page.evaluate(SOCKET_OPENS, f"ws://evil.test:{port}/_stcore/stream") is False
    assert page.evaluate(SOCKET_OPENS, f"ws://127.0.0.1:{port}/_stcore/stream") is False
    assert "does not answer" in page.evaluate(FETCHED, f"http://evil.test:{port}/_stcore/host-config")
    page.goto(f"{address}/")
    assert page.evaluate(SOCKET_OPENS, f"ws://127.0.0.1:{port}/_stcore/stream") is True


def test_another_site_can_neither_frame_the_app_nor_open_its_socket(address: str, page: Page, other_site: str) -> None:
    page.goto(other_site)
    expect(page).to_have_title("other")
    framed = wait_until(lambda: next(iter(page.frames[1:]), None), "the frame")
    framed.wait_for_url(lambda url: url not in ("", "about:blank"))
    assert framed.url.startswith("chrome-error:"), framed.url
    assert page.evaluate(SOCKET_OPENS, f"ws://127.0.0.1:{port_of(address)}/_stcore/stream") is False
    assert page.evaluate(FETCHED, f"{address}/_stcore/host-config") == "unreadable"


def test_opened_beyond_this_machine_terminal_and_home_say_who_can_reach_it(tmp_path: Path, browser: Browser) -> None:
    with serving(tmp_path, options=["--server.address=0.0.0.0"]) as url:
        words = f"Anyone who reaches port {port_of(url)} of this machine can use the app"
        lines = (tmp_path / "app.log").read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if words in line and "no login" in line]
        page = browser.new_page()
        page.goto(url)
        expect(page.get_by_text(words)).to_be_visible(timeout=PATIENCE_MS)
        page.close()
        assert socket_status(url, Host="192.168.1.5") == 403


def test_by_itself_nothing_is_said_as_nobody_else_can_reach_it(tmp_path: Path) -> None:
    with serving(tmp_path):
        assert "Anyone who reaches" not in (tmp_path / "app.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("way", ["file", "options"])
def test_the_ways_to_allow_a_name_work(tmp_path: Path, browser: Browser, way: str) -> None:
    """As the refusal says, in .streamlit/config.toml, and as the README says, on the command line."""
    options = ["--server.allowedHosts=evil.test", "--server.allowedHosts=localhost", "--server.allowedHosts=127.0.0.1"]
    project = PROJECT
    if way == "file":
        project, options = copied_project(tmp_path / "project"), []
        settings = project / ".streamlit" / "config.toml"
        settings.write_text(settings.read_text().replace("allowedHosts = [", 'allowedHosts = ["evil.test", '))
    with serving(tmp_path / "root", options=options, project=project) as url:
        page = browser.new_page()
        page.goto(url.replace("127.0.0.1", "evil.test"))
        shows_home(page)
        page.close()
        assert status(url, "/", Host="other.test")[0] == 403


def copied_project(folder: Path) -> Path:
    """The app's own files in another folder, so that its settings can be edited."""
    folder.mkdir()
    for name in (".streamlit", "pages"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copy(PROJECT / "app.py", folder)
    return folder


def test_it_still_opens_the_browser_of_whoever_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opener, opened = tmp_path / "xdg-open", tmp_path / "opened"
    opener.write_text(f'#!{sys.executable}\nimport sys\nopen({str(opened)!r}, "w").write(sys.argv[1])\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with serving(tmp_path, options=["--server.headless=false"]) as url:
        assert wait_until(lambda: opened.exists() and opened.read_text(), "the browser") == url
