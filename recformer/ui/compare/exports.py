"""A comparison to take along: the page's figures as CSV, Markdown and LaTeX, each with the protocol they hold under."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from recformer.evaluation.conclusion import beside
from recformer.evaluation.report import (
    BOOKTABS,
    as_csv,
    as_latex,
    as_markdown,
    corrections,
    escape_latex,
    figures_of,
    stars,
)
from recformer.evaluation.significance import Question
from recformer.evaluation.table import Result, masking_of
from recformer.ui.compare.conclusion_view import answer_of, protocol_rows
from recformer.ui.compare.tables import is_best
from recformer.ui.shared.comparison import BEYOND, DUPLICATION, TITLES, ShownComparison
from recformer.ui.shared.words import plain


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
    groups = {"Ranking": ranking, "Duplication": DUPLICATION, "Beyond accuracy": BEYOND}
    return [Section(title, metrics, comparison.shown(metrics)) for title, metrics in groups.items()]


def to_csv(comparison: ShownComparison, ranking: list[str]) -> str:
    """One row a figure, each of them with its model and its protocol, so that files can be put together."""
    protocol = comparison.protocol
    setting = {
        "dataset": protocol.dataset,
        "fingerprint": protocol.fingerprint,
        "split": protocol.split["name"],
        "time_ties": protocol.time_ties,
        "part": protocol.part,
        "window": protocol.window,
        "item_set": protocol.item_set,
        "cases": protocol.cases,
        "reference": str(comparison.reference_model.members[0]),
        "primary": comparison.question.primary,
        "margin": comparison.question.margin,
    }
    rows: list[dict[str, Any]] = []
    for section in sections(comparison, ranking):
        for label, result in zip(comparison.labels, section.results, strict=True):
            head = {"view": section.title, "model": label}
            head |= {key: result[key] for key in ("run", "checkpoint", "commit", "seeds")}
            head["trained_on"] = "unknown" if result["trained_on"] is None else result["trained_on"]
            for name, metric in result["metrics"].items():
                base, _, k = name.partition("@")
                place = {"metric": base, "k": k, "masking": masking_of(name, comparison.choice.masking)}
                rows.append(head | place | figures_of(metric) | setting)
    return as_csv(pd.DataFrame(rows, dtype=object))


def to_markdown(comparison: ShownComparison, ranking: list[str]) -> str:
    """A table a view, one row a model, one column a figure."""
    parts: list[str] = []
    for section in sections(comparison, ranking):
        table = _table(comparison, section, lambda text: f"**{text}**", plain)
        parts += [f"## {section.title}", as_markdown(table, "---", "--:")]
        parts += [plain(f"{said}.")] if (said := _corrections(comparison, section)) else []
    sentences = [plain(sentence) for sentence in answer_of(comparison).sentences]
    return "\n\n".join([*sentences, *parts, plain(_caption(comparison))]) + "\n"


def to_latex(comparison: ShownComparison, ranking: list[str]) -> str:
    """A table a view for a paper; it needs the packages booktabs and graphicx."""
    parts: list[str] = [r"% \usepackage{booktabs,graphicx}"]
    for section in sections(comparison, ranking):
        table = _table(comparison, section, lambda text: rf"\textbf{{{text}}}", escape_latex)
        said = _corrections(comparison, section)
        caption = f"{section.title}. {said}{'. ' if said else ''}{_caption(comparison)}"
        parts.append(as_latex(table, escape_latex(caption), BOOKTABS))
    return "\n\n".join(parts) + "\n"


def _table(
    comparison: ShownComparison, section: Section, bold: Callable[[str], str], escape: Callable[[str], str]
) -> pd.DataFrame:
    """One row a model: value ± half of its interval, difference to the reference with its stars."""
    names = list(section.results[0]["metrics"])
    rows: list[list[str]] = []
    for place, (model, result) in enumerate(zip(comparison.models, section.results, strict=True)):
        head = f"{model.label} ({model.source}{', reference' if place == comparison.reference else ''})"
        figures: list[str] = []
        for name in names:
            text = f"{result['metrics'][name]['mean']:.4f}"
            text = bold(text) if is_best(section.results, place, name) else text
            figures.append(text + escape(spread_and_difference(result["metrics"][name], comparison.question)))
        rows.append([escape(head), *figures])
    return pd.DataFrame(rows, columns=["", *(escape(_column(name, comparison)) for name in names)])


def spread_and_difference(metric: dict[str, Any], question: Question) -> str:
    """What stands behind a mean, where there is any: " ±0.012 (−0.0048***)"; behind a primary difference that is not
    significant its interval and what these users could have shown."""
    text = "" if metric["low"] is None else f" ±{(metric['high'] - metric['low']) / 2:.3f}"
    if "difference" in metric:
        difference = metric["difference"]
        text += f" ({difference['mean']:+.4f}{stars(difference.get('p_holm', 1.0))})".replace("-", "−")
        if difference.get("verdict") == "undecided":
            text += f" {beside(difference, question)}"
    return text


def _column(name: str, comparison: ShownComparison) -> str:
    base, _, k = name.partition("@")
    primary = name == comparison.question.primary and len(comparison.models) > 1
    return f"{TITLES[base]} @{k}{' (primary)' if primary else ''}"


def _corrections(comparison: ShownComparison, section: Section) -> str:
    return corrections(section.results, comparison.question.title)


def _caption(comparison: ShownComparison) -> str:
    rows = "; ".join(f"{name}: {value}" for name, value in protocol_rows(comparison).items())
    return f"{rows}. Mean ± half of the 95% interval (difference to the reference)."
