"""Tables as pure functions: results to Markdown with the best in bold and the uncertainty in lighter print."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from recformer.config import flat_config
from recformer.evaluation.conclusion import beside, signed
from recformer.evaluation.report import as_markdown, at_floor_in_words, stars
from recformer.evaluation.significance import Question, Result, is_clear
from recformer.evaluation.slices import is_few
from recformer.evaluation.table import direction
from recformer.ui.compare.comparison import DUPLICATION, ShownComparison, SliceRows
from recformer.ui.shared.words import plain

EXPLORATORY = ":gray[:small[exploratory]]"
MARKS = {"better": "green", "worse": "red"}


@dataclass(frozen=True)
class Section:
    """One view of the page: metrics whose differences are corrected together."""

    title: str
    metrics: list[str]
    """Without their cutoffs."""
    results: list[Result]
    """One a model."""


def sections(comparison: ShownComparison, ranking: list[str]) -> list[Section]:
    """The page's tables; `ranking` are the metrics chosen there."""
    groups = {"Ranking": ranking, "Duplication": DUPLICATION, "Beyond accuracy": comparison.beyond}
    return [Section(title, metrics, comparison.shown(metrics)) for title, metrics in groups.items()]


def row_heads(comparison: ShownComparison) -> list[str]:
    """What each model's row is called: its mark in the charts, its name, and in small print its checkpoint and commit.

    Markdown with the mark's colour as HTML: Streamlit's own knows a few colours only.
    """
    heads: list[str] = []
    for place, model in enumerate(comparison.models):
        is_reference = len(comparison.models) > 1 and place == comparison.reference
        small = f"reference · {model.source}" if is_reference else model.source
        mark = f'<span style="color:{model.style.colour}">{model.style.glyph}</span>'
        heads.append(f"{mark} {plain(model.label)}<br>:gray[:small[{plain(small)}]]")
    return heads


def metric_table(results: list[Result], heads: list[str], metric: str, cutoffs: list[int], question: Question) -> str:
    """One row a model, one column a cutoff: mean ± half the interval, and the difference to the reference model.

    `results` are those of one view, in the order of `heads`; the best mean of a column is bold, stars and colour mark
    differences that are significant after correction (see significance.correct). The header says which are
    primary.
    """
    several, is_primary = len(results) > 1, metric == question.metric
    rows = [
        [head, *(_cell(results, position, f"{metric}@{k}", question) for k in cutoffs)]
        for position, head in enumerate(heads)
    ]
    marks = [f" {'primary' if k == question.k else EXPLORATORY}" if several and is_primary else "" for k in cutoffs]
    columns = [f"@{k}{mark}" for k, mark in zip(cutoffs, marks, strict=True)]
    first = EXPLORATORY if several and not is_primary else ""
    return as_markdown(pd.DataFrame(rows, columns=[first, *columns]), ":--", "--:")


def _cell(results: list[Result], position: int, name: str, question: Question) -> str:
    metric = results[position]["metrics"][name]
    text = f"{metric['mean']:.4f}"
    if is_best(results, position, name):
        text = f"**{text}**"
    if metric["low"] is not None:
        text += f" :gray[:small[±{half_width(metric)}]]"
    if "seeds" in metric:
        text += f"<br>:gray[:small[seeds {metric['seeds']['low']:.4f} to {metric['seeds']['high']:.4f}]]"
    return f"{text}{_difference(metric, name, question)}"


def half_width(interval: Result) -> str:
    return f"{(interval['high'] - interval['low']) / 2:.3f}"


def is_best(results: list[Result], position: int, name: str) -> bool:
    """Whether no other model of several that count has a better mean; never where neither more nor less is better by
    itself, nor for one that was trained on cases."""
    means = [result["metrics"][name]["mean"] for result in results if result["counts"]]
    if len(results) < 2 or not results[position]["counts"] or not direction(name):
        return False
    return results[position]["metrics"][name]["mean"] == (max(means) if direction(name) > 0 else min(means))


def is_significant(metric: Result) -> bool:
    """Whether a metric's difference to the reference is significant after its family's correction."""
    return is_clear(metric.get("difference", {}))


def better_or_worse(metric: Result, name: str) -> str:
    """better or worse: how a metric differs from the reference's; "" where that is not significant, or neither."""
    if not is_significant(metric) or direction(name) == 0:
        return ""
    return "better" if (metric["difference"]["mean"] > 0) == (direction(name) > 0) else "worse"


def _difference(metric: Result, name: str, question: Question) -> str:
    if "difference" not in metric:
        return ""
    difference = metric["difference"]
    text = signed(difference["mean"])
    if not is_significant(metric):
        undecided = difference.get("verdict") == "undecided"
        known = "<br>" + beside(difference, question).replace(", ", "<br>") if undecided else ""
        return f"<br>:gray[:small[({text}){known}]]"
    text += stars(difference).replace("*", r"\*")
    mark = better_or_worse(metric, name)
    if not mark:
        return f"<br>:small[({text})]"
    return f"<br>:{MARKS[mark]}[:small[({text} {'▲' if difference['mean'] > 0 else '▼'})]]"


def spread_and_difference(metric: Result, question: Question) -> str:
    """What stands behind a mean, where there is any: " ±0.012 (−0.0048***)"; behind a primary difference that is not
    significant its interval and what these users could have shown."""
    text = "" if metric["low"] is None else f" ±{half_width(metric)}"
    if "difference" in metric:
        difference = metric["difference"]
        text += f" ({signed(difference['mean'])}{stars(difference)})"
        if difference.get("verdict") == "undecided":
            text += f" {beside(difference, question)}"
    return text


SHOWN_TESTS = ("low", "high", "p", "p_adjusted", "about", "family", "detectable", "effect_size")


def difference_rows(results: list[Result], labels: list[str]) -> list[dict[str, Any]]:
    """One row a tested difference, in the order of the metrics."""
    return [
        {"metric": name, "model": label, "difference": difference["mean"]}
        | {key: difference[key] for key in SHOWN_TESTS}
        | {"lowest": at_floor_in_words(difference)}
        for name in (results[0]["metrics"] if results else ())
        for label, result in zip(labels, results, strict=True)
        if "p" in (difference := result["metrics"][name].get("difference", {}))
    ]


def to_best_rows(results: list[Result], labels: list[str], question: Question) -> list[dict[str, Any]]:
    """One row a model but the best: its difference in the primary metric to the best model that counts."""
    return [
        {"model": label, "difference": entry["mean"]}
        | {name: entry[name] for name in ("low", "high", "about", "family")}
        for label, result in zip(labels, results, strict=True)
        if (entry := result["metrics"][question.primary].get("to_best"))
    ]


def slice_table(shown: SliceRows, labels: list[str]) -> str:
    """One row a slice, one column a model: mean and its interval; slices of few cases or hits are grey."""
    lines: list[list[str]] = []
    for entry, row in zip(*shown, strict=True):
        ends = ["–" if cell["low"] is None else f"{cell['low']:.3f} to {cell['high']:.3f}" for cell in row]
        cells = [f"{cell['mean']:.4f} :small[{end}]" for cell, end in zip(row, ends, strict=True)]
        parts = [plain(entry.label), f"{entry.cases:,}", *cells]
        lines.append([f":gray[{part}]" for part in parts] if is_few(row, entry.cases) else parts)
    return as_markdown(pd.DataFrame(lines, columns=["", "cases", *map(plain, labels)]), ":--", "--:")


def config_differences(configs: dict[str, dict[str, Any]], everything: bool) -> list[dict[str, str]]:
    """One row a setting, one column a run: those that differ, or `everything`."""
    flat = {name: flat_config(config) for name, config in configs.items()}
    rows: list[dict[str, str]] = []
    for key in dict.fromkeys(key for config in flat.values() for key in config if key != "name"):
        cells = {name: str(config.get(key, "–")) for name, config in flat.items()}
        if everything or len(set(cells.values())) > 1:
            rows.append({"setting": key, **cells})
    return rows
