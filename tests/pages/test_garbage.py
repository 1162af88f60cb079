"""What imports brought stays out of the collections that follow every run of a page."""

import gc

from streamlit.testing.v1 import AppTest

from recformer.files.names import PROJECT


def test_a_page_sets_imports_aside_once_and_not_at_every_run() -> None:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60).run()
    aside = gc.get_freeze_count()
    assert aside > 100_000
    for _ in range(3):
        app.run()
    assert gc.get_freeze_count() <= aside, "objects of later runs are collected as ever"
