"""Tables as pure functions: results to Markdown with the best in bold and the uncertainty in lighter print."""

from typing import Any

import pandas as pd

from recformer.config import flat_config
from recformer.evaluation.conclusion import beside
from recformer.evaluation.report import as_markdown, stars
from recformer.evaluation.significance import SIGNIFICANT, Question
from recformer.evaluation.slices import FEW, Slice
from recformer.evaluation.table import direction
from recformer.ui.shared.words import plain

Result = dict[str, Any]
EXPLORATORY = ":gray[:small[exploratory]]"


def row_head(label: str, source: str, colour: str, glyph: str, is_reference: bool) -> str:
    """What a row is called: its mark in the charts, its name, and in small print its checkpoint and commit.

    Markdown with the mark's colour as HTML: Streamlit's own knows a few colours only.
    """
    mark = f'<span style="color:{colour}">{glyph}</span>'
    small = f"reference · {source}" if is_reference else source
    return f"{mark} {plain(label)}<br>:gray[:small[{plain(small)}]]"


def metric_table(results: list[Result], heads: list[str], metric: str, cutoffs: list[int], question: Question) -> str:
    """One row a model, one column a cutoff: mean ± half the interval, and the difference to the reference model.

    `results` are those of one view, in the order of `heads`; the best mean of a column is bold, stars and colour mark
    differences that are significant after Holm's correction (see significance.correct). The header says which are
    primary.
    """
    several, is_primary = len(results) > 1, metric == question.metric
    marks = {k: "primary" if k == question.k else EXPLORATORY for k in cutoffs}
    rows = [
        [head, *(_cell(results, position, f"{metric}@{k}", question) for k in cutoffs)]
        for position, head in enumerate(heads)
    ]
    columns = [f"@{k} {marks[k]}" if several and is_primary else f"@{k}" for k in cutoffs]
    first = EXPLORATORY if several and not is_primary else ""
    return as_markdown(pd.DataFrame(rows, columns=[first, *columns]), ":--", "--:")


def _cell(results: list[Result], position: int, name: str, question: Question) -> str:
    metric = results[position]["metrics"][name]
    text = f"{metric['mean']:.4f}"
    if is_best(results, position, name):
        text = f"**{text}**"
    spread = "" if metric["low"] is None else f" :gray[:small[±{(metric['high'] - metric['low']) / 2:.3f}]]"
    seeds = (
        f"<br>:gray[:small[seeds {metric['seeds']['low']:.4f} to {metric['seeds']['high']:.4f}]]"
        if "seeds" in metric
        else ""
    )
    return f"{text}{spread}{seeds}{_difference(metric, name, question)}"


def is_best(results: list[Result], position: int, name: str) -> bool:
    """Whether no other model of several has a better mean; never where neither more nor less is better by itself."""
    means = [result["metrics"][name]["mean"] for result in results]
    best = {1: max(means), -1: min(means), 0: None}[direction(name)]
    return len(results) > 1 and means[position] == best


def _difference(metric: dict[str, Any], name: str, question: Question) -> str:
    if "difference" not in metric:
        return ""
    difference = metric["difference"]
    text = f"{difference['mean']:+.4f}".replace("-", "−")
    if "p_holm" not in difference or difference["p_holm"] >= SIGNIFICANT:
        undecided = difference.get("verdict") == "undecided"
        known = "<br>" + beside(difference, question).replace(", ", "<br>") if undecided else ""
        return f"<br>:gray[:small[({text}){known}]]"
    text += r"\*" * len(stars(difference["p_holm"]))
    if direction(name) == 0:
        return f"<br>:small[({text})]"
    better = (difference["mean"] > 0) == (direction(name) > 0)
    return f"<br>:{'green' if better else 'red'}[:small[({text} {'▲' if difference['mean'] > 0 else '▼'})]]"


def difference_rows(results: list[Result], labels: list[str]) -> list[dict[str, Any]]:
    """One row a tested difference, in the order of the metrics."""
    return [
        {"metric": name, "model": label, "difference": difference["mean"]}
        | {key: difference[key] for key in ("low", "high", "p", "p_holm", "family", "detectable", "effect_size")}
        for name in (results[0]["metrics"] if results else ())
        for label, result in zip(labels, results, strict=True)
        if "p" in (difference := result["metrics"][name].get("difference", {}))
    ]


def slice_table(slices: list[Slice], labels: list[str], rows: list[list[dict[str, Any]]]) -> str:
    """One row a slice, one column a model: mean ± half of its interval; slices of few cases are grey."""
    lines: list[list[str]] = []
    for entry, row in zip(slices, rows, strict=True):
        cells = [f"{cell['mean']:.4f} :small[±{(cell['high'] - cell['low']) / 2:.3f}]" for cell in row]
        parts = [plain(entry.label), f"{entry.cases:,}", *cells]
        lines.append([f":gray[{part}]" for part in parts] if entry.cases < FEW else parts)
    return as_markdown(pd.DataFrame(lines, columns=["", "cases", *map(plain, labels)]), ":--", "--:")


def config_differences(configs: dict[str, dict[str, Any]], everything: bool) -> list[dict[str, str]]:
    """One row a setting, one column a run: those that differ, or `everything`."""
    flat = {name: flat_config(config) for name, config in configs.items()}
    keys = list(dict.fromkeys(key for config in flat.values() for key in config if key != "name"))
    rows: list[dict[str, str]] = []
    for key in keys:
        cells = {name: str(config.get(key, "–")) for name, config in flat.items()}
        if everything or len(set(cells.values())) > 1:
            rows.append({"setting": key, **cells})
    return rows
