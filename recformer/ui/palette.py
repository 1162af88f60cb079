"""Colours: one for each run on every page and chart, and steady ones for genres."""

from recformer.jobs.overview import RunSummary
from recformer.registry import BASELINES

# Okabe and Ito 2008, readable by colour-blind people, without black and yellow, which vanish on one of the themes.
OKABE_ITO = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
REFERENCE = "#8C8C8C"
GREYS = ["#5F6B7A", "#8C8C8C", "#A89F91"]
BADGES = ["blue", "green", "orange", "red", "violet", "gray"]


def run_colours(runs: list[RunSummary]) -> dict[str, str]:
    """Run id to colour, in the order in which the runs were made, so that a new run changes nobody's colour."""
    ordered = sorted(runs, key=lambda run: (run.created, run.run_id))
    return {run.run_id: OKABE_ITO[position % len(OKABE_ITO)] for position, run in enumerate(ordered)}


def line_colours(runs: list[RunSummary], shown: list[str]) -> dict[str, str]:
    """Colours of the runs drawn in one chart: each its own, but where two share one the later gets one that is free."""
    own = run_colours(runs)
    found: dict[str, str] = {}
    for run_id in shown:
        free = [colour for colour in OKABE_ITO if colour not in found.values()]
        found[run_id] = own[run_id] if own[run_id] in free or not free else free[0]
    return found


def baseline_colours() -> dict[str, str]:
    """Names of the baselines, as models are named, to greys: they are what others are measured by."""
    names = BASELINES.names()
    return {f"baseline:{name}": GREYS[position % len(GREYS)] for position, name in enumerate(names)}


def genre_badges(genres: list[str]) -> str:
    """Markdown chips; a genre keeps its colour everywhere."""
    return " ".join(f":{BADGES[sum(map(ord, genre)) % len(BADGES)]}-badge[{genre}]" for genre in genres)
