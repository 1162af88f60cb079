"""Comparison results as text: aligned table, Markdown, CSV or LaTeX."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from recformer.evaluation.ranks import Masking

Format = Literal["table", "markdown", "csv", "latex", "json"]
Rows = list[list[str]]
UNKNOWN_DATA = "unknown: only its sizes fit"
TESTS = ["low", "high", "p", "p_holm", "effect_size", "family", "comparisons", "detectable", "verdict", "equivalent"]
"""What is told of a difference beside its mean, in files."""
_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "|": r"\textbar{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "−": "$-$",
    "·": r"$\cdot$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
}


def stars(p: float) -> str:
    """The usual marks of a p-value: *** below .001, ** below .01, * below .05, else nothing."""
    return "*" * sum(p < level for level in (0.05, 0.01, 0.001))


def render(summary: dict[str, Any], kind: Format, masking: "Masking") -> str:
    """The results of `evaluation.summary.summarise` as text.

    A table shows everything under `masking` but duplication, which is read with nothing masked; CSV holds every result.
    Where `summary` has slices, a table and Markdown show them below; CSV and LaTeX hold one table and leave them out.
    """
    from recformer.evaluation.table import view  # loads pandas: `runs`, which knows the formats too, must be quick

    if kind == "csv":
        return _csv(summary)
    first = summary["results"][0]
    primary = summary.get("primary", {}).get("metric")
    names = sorted([*first["metrics"], *first["catalogue"]], key=lambda name: name != primary)  # the answer first
    results = view(summary, masking, names)
    rows = _rows(results, primary)
    sentences, caption = _answer(summary, results), caption_of(summary, results, masking)
    if kind == "latex":
        return _latex(rows, " ".join([*sentences, caption]))
    table = _markdown if kind == "markdown" else _aligned
    groups = _slice_rows(summary["slices"], rows[0][1:]) if summary.get("slices") else []
    said = [*sentences, ""] if sentences else []
    return "\n".join([*table(rows), "", *said, caption, *(["", *table(groups)] if groups else [])])


def render_article(rows: list[dict[str, Any]], explanations: dict[str, str], kind: Format) -> str:
    """The rows of `evaluation.article.article_rows`, each difference explained below."""
    names = list(rows[0]["metrics"])
    header = ["recipe", "figures", *names, "how"]
    lines = [
        [row["recipe"], row["way"], *(_article_cell(row["metrics"][name]) for name in names), _how(row)] for row in rows
    ]
    words = "\n".join(f"{what}: {why}" for what, why in explanations.items())
    return _csv_of([header, *lines]) if kind == "csv" else _laid_out([header, *lines], words, kind)


def _article_cell(metric: dict[str, Any]) -> str:
    if metric["low"] is None:
        return f"{metric['mean']:.4f}"
    return f"{metric['mean']:.4f} ±{(metric['high'] - metric['low']) / 2:.4f}"


def _how(row: dict[str, Any]) -> str:
    return f"{row['dataset']}, {row['protocol']}" + (f" ({row['run']})" if row["run"] else "")


def _laid_out(rows: Rows, caption: str, kind: Format) -> str:
    if kind == "latex":
        return _latex(rows, caption)
    table = _markdown if kind == "markdown" else _aligned
    return "\n".join([*table(rows), "", caption])


def _interval(metric: dict[str, Any]) -> str:
    return f"{metric['mean']:.4f} [{metric['low']:.4f}, {metric['high']:.4f}]"


def _answer(summary: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """The verdict of a comparison in sentences; none where nothing is compared."""
    from recformer.evaluation.conclusion import answer
    from recformer.evaluation.table import question_of

    if len(results) == 1 or "primary" not in summary:
        return []
    return answer([_title(result) for result in results], results, question_of(summary)).sentences


def corrections(results: list[dict[str, Any]], title: str) -> str:
    """How the stars of these results are corrected, in words; `title` is the primary metric's. "" without any."""
    counts = {
        metric["difference"]["family"]: metric["difference"]["comparisons"]
        for result in results
        for metric in result["metrics"].values()
        if "family" in metric.get("difference", {})
    }
    words = {
        "primary": f"{title} is primary: Holm over its {counts.get('primary')} differences",
        "exploratory": f"all else is exploratory: Holm over the {counts.get('exploratory')} other differences here",
    }
    told = [words[family] for family in words if family in counts]
    return f"{'; '.join(told)} (* p < .05, ** p < .01, *** p < .001)" if told else ""


def caption_of(summary: dict[str, Any], results: list[dict[str, Any]], masking: "Masking") -> str:
    """The protocol in one line, as it stands below every table."""
    from recformer.evaluation.table import question_of

    protocol = summary["protocol"]
    skipped = f" · {protocol['skipped_users']} users with too short a history" if protocol["skipped_users"] else ""
    corrected = corrections(results, question_of(summary).title)
    tests = f" · Δ paired difference to the column that has none; {corrected}" if corrected else ""
    return (
        f"{protocol['dataset']} ({protocol['fingerprint']}) · {protocol['split']['name']} · {protocol['part']} · "
        f"{protocol['cases']} cases{skipped} · ranked among all {protocol['item_set']} · masking: {masking} "
        f"(duplication: none) · ties in score count against the model · {ties_in_time(protocol)} · "
        f"window of {protocol['window']} · 95% bootstrap intervals over users, seed {protocol['bootstrap_seed']}{tests}"
    )


def ties_in_time(protocol: dict[str, Any]) -> str:
    """How ties in time are broken, and how many targets are tied, in words."""
    words = {
        "file": "ties in time go by the order of lines",
        "hash": "ties in time go by a hash",
        "as_set": "all that is tied in time with the target is looked for together",
    }[protocol["time_ties"]]
    share = protocol["time_tied"]
    return words if share is None else f"{words} ({100 * share:.0f}% of targets are tied)"


def _rows(results: list[dict[str, Any]], primary: str | None) -> Rows:
    """One column a model, one row a metric: runs are few, metrics many."""
    header = ["", *(_title(result) for result in results)]
    rows = [
        [f"{name} (primary)" if name == primary else name, *(_cell(result["metrics"][name]) for result in results)]
        for name in results[0]["metrics"]
    ]
    trained = ["cases trained on", *(_trained(result["trained_on"], result["cases"]) for result in results)]
    data = ["trained on this data", *("yes" if result["data_known"] else UNKNOWN_DATA for result in results)]
    known = all(result["data_known"] for result in results)
    return [header, *rows, trained] if known else [header, *rows, trained, data]


def _slice_rows(slices: list[dict[str, Any]], titles: list[str]) -> Rows:
    """One row a slice, one column a model; what is said of few cases is marked."""
    rows = [[slices[0]["metric"], "cases", *titles]]
    for entry in slices:
        cells = [_interval(cell) for cell in entry["models"]]
        count = f"{entry['cases']}{' (few)' if entry['few'] else ''}"
        rows.append([f"{entry['dimension']}: {entry['label']}", count, *cells])
    return rows


def _markdown(rows: Rows) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]


def _aligned(rows: Rows) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _title(result: dict[str, Any]) -> str:
    seeds = f" ({result['seeds']} seeds)" if result["seeds"] > 1 else ""
    return f"{result['run']}/{result['checkpoint']}{seeds}"


def _trained(count: int | None, cases: int) -> str:
    if count is None:
        return "unknown: probably leaks"
    return f"{count} of {cases}: LEAKS, the figures flatter it" if count else "0"


def _cell(metric: dict[str, Any]) -> str:
    text = f"{metric['mean']:.4f}"
    if metric["low"] is not None:
        text = _interval(metric)
    if "seeds" in metric:
        text += f" seeds {metric['seeds']['low']:.4f} to {metric['seeds']['high']:.4f}"
    if "difference" in metric:
        difference = metric["difference"]
        text += f" Δ {difference['mean']:+.4f}"
        if "p" in difference:
            text += f" [{difference['low']:+.4f}, {difference['high']:+.4f}]{stars(difference['p_holm'])}"
            if not stars(difference["p_holm"]) and difference["detectable"] is not None:
                text += f" detectable {difference['detectable']:.4f}"
    return text


def _csv(summary: dict[str, Any]) -> str:
    """Every result, one row a quantity; each row says under which protocol, so that files can be put together."""
    protocol = summary["protocol"]
    setting = {name: protocol[name] for name in ("dataset", "fingerprint", "part", "window", "item_set")}
    setting |= {"split": protocol["split"]["name"], "time_ties": protocol["time_ties"]}
    about = ["run", "checkpoint", "masking", "cases", "trained_on", "seeds"]
    interval, tests = ["mean", "low", "high"], ["mean", *TESTS]
    rows: list[list[Any]] = [
        [*about, "metric", *interval, "seed_sd", "difference", *(f"difference_{name}" for name in tests[1:]), *setting]
    ]
    for result in summary["results"]:
        head = ["unknown" if result[key] is None else result[key] for key in about]
        for name, metric in result["metrics"].items():
            row = [*head, name, *(metric[key] for key in interval), metric.get("seeds", {}).get("sd")]
            rows.append([*row, *(metric.get("difference", {}).get(key) for key in tests), *setting.values()])
        for name, entry in result["catalogue"].items():
            row = [*head, name, entry["value"], None, None, None, entry.get("difference")]
            rows.append([*row, *[None] * (len(tests) - 1), *setting.values()])
    return _csv_of(rows)


def _csv_of(rows: Sequence[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().rstrip("\n")


def _latex(rows: Rows, caption: str) -> str:
    lines = [" & ".join(escape_latex(cell) for cell in row) + r" \\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    head = [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{columns}}}", r"\hline", lines[0], r"\hline"]
    end = [r"\hline", r"\end{tabular}", rf"\caption{{{escape_latex(caption)}}}", r"\end{table}"]
    return "\n".join([*head, *lines[1:], *end])


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it: what it would take for commands, and the few signs that it has no letters for."""
    return "".join(_LATEX.get(character, character) for character in text)
