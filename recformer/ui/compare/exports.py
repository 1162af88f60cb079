"""A comparison to take along: the page's figures as CSV, Markdown and LaTeX, each with the protocol they hold under,
and the button that gives them and the report out."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from recformer.evaluation.report import (
    BOOKTABS,
    as_csv,
    as_latex,
    as_markdown,
    corrections,
    escape_latex,
    facts_of,
    figures_of,
    settings_in_words,
)
from recformer.evaluation.table import masking_of
from recformer.ui.compare.comparison import ShownComparison, title_of
from recformer.ui.compare.html_report import to_html
from recformer.ui.compare.tables import Section, is_best, sections, spread_and_difference
from recformer.ui.shared.words import plain

HELP = "The tables of this page with these models, metrics, cutoffs and masking, and the protocol they hold under."


def show_export(comparison: ShownComparison, ranking: list[str], parameters: set[str]) -> None:
    """Files of what the page shows, each made when it is asked for: a report, and its tables.

    `parameters` of the address lead back to this view.
    """
    asked = {name: st.query_params.get_all(name) for name in st.query_params if name in parameters}
    address = "/compare?" + urlencode(asked, doseq=True)
    with st.popover("Export", icon=":material/download:", help=HELP, key="compare.export"):
        for label, ending, mime, make in (
            ("HTML report", "html", "text/html", partial(to_html, comparison, ranking, comparison.configs, address)),
            ("CSV", "csv", "text/csv", partial(to_csv, comparison, ranking)),
            ("Markdown", "md", "text/markdown", partial(to_markdown, comparison, ranking)),
            ("LaTeX", "tex", "application/x-tex", partial(to_latex, comparison, ranking)),
        ):
            name, key = f"comparison-{comparison.protocol.dataset}.{ending}", f"export.{label}"
            st.download_button(label, make, name, mime, key=key, on_click="ignore", icon=":material/download:")
            if ending == "html":
                st.caption("One file with tables, charts, protocol and settings. It opens without a network.")
        st.caption("Charts: the two buttons above each of them save PNG and SVG.")


def to_csv(comparison: ShownComparison, ranking: list[str]) -> str:
    """One row a figure, each of them with its model and its protocol, so that files can be put together."""
    setting = facts_of(comparison)
    rows: list[dict[str, Any]] = []
    for section in sections(comparison, ranking):
        for label, result in zip(comparison.labels, section.results, strict=True):
            head = {"view": section.title, "model": label}
            head |= {key: result[key] for key in ("run", "checkpoint", "commit", "seeds")}
            head |= {"counts": result["counts"], "lists": result["lists"] or ""}
            for key in ("trained_on", "validated_on"):
                head[key] = "unknown" if result[key] is None else result[key]
            head["settings"] = settings_in_words(result["settings"])
            for name, metric in result["metrics"].items():
                base, _, k = name.rpartition("@")
                place = {"metric": base, "k": k, "masking": masking_of(name, comparison.choice.masking)}
                rows.append(head | place | figures_of(metric) | setting)
    return as_csv(pd.DataFrame(rows, dtype=object))


def to_markdown(comparison: ShownComparison, ranking: list[str]) -> str:
    """A table a view, one row a model, one column a figure."""
    parts = [plain(sentence) for sentence in comparison.conclusion.sentences]
    for section in sections(comparison, ranking):
        table = _table(comparison, section, lambda text: f"**{text}**", plain)
        parts += [f"## {section.title}", as_markdown(table, "---", "--:")]
        corrected = corrections(section.results, comparison.question.title)
        parts += [plain(f"{corrected}.")] if corrected else []
    return "\n\n".join([*parts, plain(_caption(comparison))]) + "\n"


def to_latex(comparison: ShownComparison, ranking: list[str]) -> str:
    """A table a view for a paper; it needs the packages booktabs and graphicx."""
    parts: list[str] = [r"% \usepackage{booktabs,graphicx}"]
    for section in sections(comparison, ranking):
        table = _table(comparison, section, lambda text: rf"\textbf{{{text}}}", escape_latex)
        corrected = corrections(section.results, comparison.question.title)
        caption = f"{section.title}. {corrected}{'. ' if corrected else ''}{_caption(comparison)}"
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
        cells: list[str] = []
        for name in names:
            text = f"{result['metrics'][name]['mean']:.4f}"
            text = bold(text) if is_best(section.results, place, name) else text
            cells.append(text + escape(spread_and_difference(result["metrics"][name], comparison.question)))
        rows.append([escape(head), *cells])
    return pd.DataFrame(rows, columns=["", *(escape(_column(name, comparison)) for name in names)])


def _column(name: str, comparison: ShownComparison) -> str:
    base, _, k = name.rpartition("@")
    primary = name == comparison.question.primary and len(comparison.models) > 1
    return f"{title_of(base)} @{k}{' (primary)' if primary else ''}"


def _caption(comparison: ShownComparison) -> str:
    rows = "; ".join(f"{name}: {value}" for name, value in comparison.protocol_rows.items())
    return f"{rows}. Mean ± half of the 95% interval (difference to the reference)."
