"""Compare: which model is better, and how sure is that?"""

from recformer.ui import comparing, readers
from recformer.ui.compare_views import show_view
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame

with frame("Compare"):
    runs, _ = readers.runs()
    if need_dataset():
        choice = comparing.choose(runs)
        comparison = None if choice is None else comparing.compare(choice)
        if comparison is not None:
            comparing.show_verdict(comparison)
            show_view(comparison)
            comparing.show_protocol(comparison)
