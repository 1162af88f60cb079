"""Find a Chromium for the browser tests, or get one: the one installed, else the system's package, else Playwright's.

`python -m tests.browser.chromium` does so before the tests run, and says how to get one where none can be had.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def installed() -> str | None:
    """Path of a Chromium on this machine: RECFORMER_CHROMIUM, one on the PATH, or Playwright's own."""
    named = os.environ.get("RECFORMER_CHROMIUM")
    if named:
        return named
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def main() -> None:
    """Print the path of a Chromium, installing one where there is none. Exit code 1 where none can be had."""
    path = installed()
    for command in [] if path else ways():
        subprocess.run(command, check=False)
        if path := installed():
            break
    if not path:
        sys.exit(
            "The browser tests need a Chromium and none could be installed. Install one (Debian, Ubuntu: apt-get install "
            "chromium; elsewhere: .venv/bin/python -m playwright install --with-deps chromium), or name one in "
            "RECFORMER_CHROMIUM, and run make test again."
        )
    print(f"Chromium: {path}")


def ways() -> list[list[str]]:
    """Commands that may install one, the system's package first."""
    found: list[list[str]] = []
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        found += [[*sudo, "apt-get", "update", "-qq"], [*sudo, "apt-get", "install", "-y", "-qq", "chromium"]]
    return [*found, [sys.executable, "-m", "playwright", "install", "chromium"]]


if __name__ == "__main__":
    main()
