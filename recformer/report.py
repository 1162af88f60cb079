"""Comparison results as text: aligned table, Markdown, CSV or LaTeX."""

import csv
import io
from typing import Any, Literal

Format = Literal["table", "markdown", "csv", "latex", "json"]
Rows = list[list[str]]


def render(summary: dict[str, Any], kind: Format, masking: str) -> str:
    """The results of `evaluation.summary.summarise` as text.

    A table shows the ranking metrics under `masking` and duplication with nothing masked; CSV holds every result.
    """
    results = [result for result in summary["results"] if result["masking"] == masking]
    if kind == "csv":
        return _csv(summary["results"])
    raw = [result for result in summary["results"] if result["masking"] == "none"]
    results = [_with_raw_duplication(result, unmasked) for result, unmasked in zip(results, raw, strict=True)]
    rows = _rows(results)
    protocol = summary["protocol"]
    caption = (
        f"{protocol['dataset']} · {protocol['split']['name']} · {protocol['part']} · {protocol['cases']} cases · "
        f"masking: {masking} (duplication: none) · 95% bootstrap intervals over users"
    )
    if kind == "markdown":
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], "", caption])
    if kind == "latex":
        return _latex(rows, caption)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", caption])


def _with_raw_duplication(result: dict[str, Any], unmasked: dict[str, Any]) -> dict[str, Any]:
    """Duplication is a question to the raw list: what is masked cannot repeat."""
    raw = {name: metric for name, metric in unmasked["metrics"].items() if name.startswith("duplication")}
    return result | {"metrics": result["metrics"] | raw}


def _rows(results: list[dict[str, Any]]) -> Rows:
    """One column a model, one row a metric: runs are few, metrics many."""
    header = ["", *(f"{result['run']}/{result['checkpoint']}" for result in results)]
    names = list(results[0]["metrics"])
    rows = [[name, *(_cell(result["metrics"][name]) for result in results)] for name in names]
    trained = ["cases trained on", *(_trained(result["trained_on"]) for result in results)]
    return [header, *rows, trained]


def _trained(count: int | None) -> str:
    return "unknown: probably leaks" if count is None else str(count)


def _cell(metric: dict[str, Any]) -> str:
    text = f"{metric['mean']:.4f} [{metric['low']:.4f}, {metric['high']:.4f}]"
    if "difference" in metric:
        difference = metric["difference"]
        text += f" Δ {difference['mean']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"
    return text


def _csv(results: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head = ["run", "checkpoint", "masking", "cases", "metric", "mean", "low", "high"]
    writer.writerow([*head, "difference", "difference_low", "difference_high"])
    for result in results:
        for name, metric in result["metrics"].items():
            difference = metric.get("difference", {"mean": "", "low": "", "high": ""})
            row = [result["run"], result["checkpoint"], result["masking"], result["cases"], name]
            row += [metric[key] for key in ("mean", "low", "high")]
            writer.writerow([*row, *(difference[key] for key in ("mean", "low", "high"))])
    return buffer.getvalue().rstrip("\n")


def _latex(rows: Rows, caption: str) -> str:
    lines = [" & ".join(_escape(cell) for cell in row) + r" \\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    head = [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{columns}}}", r"\hline", lines[0], r"\hline"]
    end = [r"\hline", r"\end{tabular}", rf"\caption{{{_escape(caption)}}}", r"\end{table}"]
    return "\n".join([*head, *lines[1:], *end])


def _escape(text: str) -> str:
    for character in "&%$#_{}":
        text = text.replace(character, "\\" + character)
    return text.replace("Δ", r"$\Delta$").replace("·", r"$\cdot$")
