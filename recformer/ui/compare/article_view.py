"""The article three ways: what it published, what its files give, what its recipes give when asked honestly."""

from typing import Any

import streamlit as st

from recformer.errors import RecformerError
from recformer.evaluation.article_figures import CUTOFFS, EXPLANATIONS, RECIPES
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import computed, leave_out, tell_not_kept
from recformer.ui.shared.run_views import labels_of
from recformer.ui.shared.words import explain, plain

TITLES = {"hr": "HR", "mrr": "MRR", "ndcg": "NDCG", "duplication/window": "Duplication"}
WAYS = {"published": "as published", "its file": "its file, its protocol", "honest": "trained and asked honestly"}
IMPORT = "python -m recformer import MODEL.pth --name article-baseline --data data/ml-1m"


def show_article(runs: list[RunSummary]) -> None:
    """One table at the chosen k, and each difference explained in a line."""
    rows = _rows(runs)
    if rows is None:
        return
    cutoffs = [str(k) for k in CUTOFFS]
    chosen = st.segmented_control("k", cutoffs, default="10", required=True, key="article_k", bind="query-params")
    k = int(chosen or 10)
    st.markdown(_table(rows, k, labels_of(runs)))
    st.caption(
        "mean ± half of its 95% interval; the article published none. Duplication is that of the raw list in the input "
        "window. Honest rows are runs of one dataset under leave_last_out, of equal epochs where there are any; of "
        "several the best by validation.",
        help=explain("protocol"),
    )
    if not any(row["way"] == "its file" for row in rows):
        st.markdown(
            "To see what the published files give on your machine, fetch MovieLens-1M (Data) and import them from the "
            "article's repository:"
        )
        st.code(IMPORT, language="shell")
    for what, why in EXPLANATIONS.items():
        st.markdown(f"**{what}.** {why}")


def _rows(runs: list[RunSummary]) -> list[dict[str, Any]] | None:
    """The rows; None while they are computed."""
    from recformer.evaluation.article_comparison import SPLITS, article_models

    models: list[Any] = []
    entries: list[Any] = []
    for model in article_models(readers.root(), runs):
        try:
            data = readers.dataset_of_models([model.name])
            (entry,) = readers.pending([model.name], data, SPLITS[model.way], None)
        except RecformerError as error:
            entry = error
        if isinstance(entry, RecformerError):
            leave_out(model.run_id, entry)
        else:
            models.append(model)
            entries.append(entry)
    missing = [(model.run_id, entry) for model, entry in zip(models, entries, strict=True) if not readers.stored(entry)]
    if missing and not computed(missing):
        return None
    found = [(model, entry, readers.stored(entry)) for model, entry in zip(models, entries, strict=True)]
    there = [(model, entry, evaluation) for model, entry, evaluation in found if evaluation is not None]
    tell_not_kept(evaluation for *_, evaluation in there)
    keys = tuple(entry.key for _, entry, _ in there)
    return readers.article_rows(keys, [model for model, *_ in there], [evaluation for *_, evaluation in there])


def _table(rows: list[dict[str, Any]], k: int, labels: dict[str, str]) -> str:
    lines = ["| recipe | figures | " + " | ".join(f"{title}@{k}" for title in TITLES.values()) + " | how |"]
    lines.append("| :-- | :-- |" + " --: |" * len(TITLES) + " :-- |")
    for recipe in RECIPES:
        for row in (row for row in rows if row["recipe"] == recipe):
            cells = [_cell(row["metrics"][f"{name}@{k}"]) for name in TITLES]
            run_id = str(row["run"] or "")
            run = f"; run {plain(labels.get(run_id, run_id))}" if run_id else ""
            how = f":small[{plain(row['dataset'])}, {row['protocol']}{run}]"
            name = f"**{recipe}**" if row["way"] == "published" else ""
            lines.append("| " + " | ".join([name, WAYS[row["way"]], *cells, how]) + " |")
    return "\n".join(lines)


def _cell(metric: dict[str, Any]) -> str:
    text = f"{metric['mean']:.4f}"
    return text if metric["low"] is None else f"{text} :gray[:small[±{(metric['high'] - metric['low']) / 2:.3f}]]"
