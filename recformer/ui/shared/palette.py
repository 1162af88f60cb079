"""Colours and shapes: one of each for a run on every page and chart, and steady colours for categories."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recformer.registry import BASELINES
from recformer.run.labels import COLOURS
from recformer.run.overview import RunSummary
from recformer.ui.shared.words import plain

# Okabe and Ito 2008, readable by colour-blind people, without black and yellow, which vanish on one of the themes.
OKABE_ITO = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
REFERENCE = "#8C8C8C"
GREYS = ["#5F6B7A", "#A89F91", "#7A6A58"]
"""Of the baselines."""
SYMBOLS = [
    *("circle", "square", "diamond", "triangle-up", "cross", "x"),  # one for each colour: not by colour alone
    *("star", "pentagon", "triangle-down", "hexagon", "triangle-left"),  # of the baselines
]
GLYPHS = "●■◆▲✚✖★⬟▼⬢◀"
"""The symbols as text, for tables."""
THIN, THICK, OUTLINE = 2.0, 4.0, 3.0  # pixels
MOST_CHIPS = 3  # of an item
BADGES = ["blue", "green", "orange", "red", "violet", "gray"]


@dataclass(frozen=True)
class Style:
    """How a model is drawn: its lines, besides their dashes, which say what they are lines of, and its points."""

    colour: str
    width: float = THIN
    """In pixels."""
    shape: int = 0
    """The number of its points' shape."""
    is_reference: bool = False
    """Whether the others are compared to it: its points have an outline."""

    def marker(self, size: float) -> dict[str, Any]:
        """Its points in a chart, `size` pixels wide."""
        line = {"color": REFERENCE, "width": OUTLINE if self.is_reference else 0}
        return {"color": self.colour, "size": size, "symbol": self.symbol, "line": line}

    @property
    def symbol(self) -> str:
        """The name of its points' shape, as charts know it."""
        return SYMBOLS[self.shape % len(SYMBOLS)]

    @property
    def glyph(self) -> str:
        """The symbol as text."""
        return GLYPHS[self.shape % len(GLYPHS)]


def run_colours(runs: list[RunSummary]) -> dict[str, str]:
    """Run id to colour, the one the run was given when it was made; one by its id where nobody gave it any."""
    return {
        run.run_id: OKABE_ITO[zlib.crc32(run.run_id.encode()) % COLOURS if (own := run.labels.colour) is None else own]
        for run in runs
    }


def styles_together(own: Sequence[str]) -> list[Style]:
    """How models of these colours are drawn in one chart: where two share one, the later gets one that is free.

    Each colour has its shape. Of more models than there are colours, every next round is thicker, and of another shape.
    """
    found: list[Style] = []
    for colour in own:
        uses = {one: sum(style.colour == one for style in found) for one in dict.fromkeys([colour, *OKABE_ITO])}
        rarest = min(uses, key=lambda one: uses[one])  # its own, where no other is rarer
        shape = OKABE_ITO.index(rarest) + uses[rarest]
        found.append(Style(rarest, THIN + uses[rarest] * (THICK - THIN), shape))
    return found


def baseline_styles() -> dict[str, Style]:
    """Names of the baselines, as models are named, to how they are drawn: in grey, for others are measured by them."""
    return {
        f"baseline:{name}": Style(GREYS[place % len(GREYS)], shape=len(OKABE_ITO) + place)
        for place, name in enumerate(BASELINES.names())
    }


def run_styles(runs: list[RunSummary], shown: Sequence[str]) -> list[Style]:
    """How runs, by their ids, and baselines, by their names, are drawn together."""
    own, greys = run_colours(runs), baseline_styles()
    coloured = iter(styles_together([own[name] for name in shown if name not in greys]))
    return [greys[name] if name in greys else next(coloured) for name in shown]


def category_colour(category: str) -> str:
    """The name of a category's colour, which it keeps everywhere."""
    return BADGES[sum(map(ord, category)) % len(BADGES)]


def chips(categories: Sequence[str]) -> str:
    """The first categories as small Markdown chips; empty where there are none."""
    chips = " ".join(f":{category_colour(name)}-badge[{plain(name)}]" for name in categories[:MOST_CHIPS])
    return f":small[{chips}]" if chips else ""
