"""The article three ways: what it published, what its files give, what its recipes give when asked honestly."""

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from recformer.errors import RecformerError
from recformer.evaluation.article import CUTOFFS, EXPLANATIONS
from recformer.evaluation.report import as_markdown
from recformer.evaluation.table import Evaluation
from recformer.run.model_ref import ModelRef
from recformer.run.overview import RunSummary, labels_of
from recformer.ui.compare.tables import half_width
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import evaluated, pending, usable
from recformer.ui.shared.selection import name_values_not_here
from recformer.ui.shared.words import explain, plain

if TYPE_CHECKING:
    from recformer.evaluation.article import ArticleModel

TITLES = {"hr": "HR", "mrr": "MRR", "ndcg": "NDCG", "duplication/window": "Duplication"}
WAYS = {"published": "as published", "its file": "its file, its protocol", "honest": "trained and asked honestly"}
IMPORT = "python -m recformer import MODEL.pth --name article-baseline --data data/ml-1m"


def show_article(runs: list[RunSummary]) -> None:
    """One table at the chosen k, and each difference explained in a line."""
    rows = _rows(runs)
    if rows is None:
        return
    cutoffs = [str(k) for k in CUTOFFS]
    name_values_not_here("article_k", cutoffs.__contains__)
    chosen = st.segmented_control("k", cutoffs, default="10", required=True, key="article_k", bind="query-params")
    st.markdown(_table(rows, int(chosen or 10), labels_of(runs)))
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
    """None while they are computed."""
    from recformer.evaluation.article import SPLITS, article_models

    models = {one.model: one for one in article_models(readers.root(), runs)}
    entries: dict[ModelRef, Any] = {}
    for model, one in models.items():
        try:
            entries |= pending([model], readers.dataset_of([model]), SPLITS[one.way], "test")
        except RecformerError as error:
            entries[model] = error
    able = usable(entries, lambda model: model.run)
    found = evaluated(able, lambda model: model.run)
    if found is None:
        return None
    keys = tuple(able[model].key for model in found)
    return _article_rows(keys, [models[model] for model in found], list(found.values()))


@st.cache_data(max_entries=4, show_spinner=False)
def _article_rows(
    keys: tuple[str, ...], _models: "list[ArticleModel]", _evaluations: list[Evaluation]
) -> list[dict[str, Any]]:
    from recformer.evaluation.article import article_rows

    return article_rows(_models, _evaluations)


def _table(rows: list[dict[str, Any]], k: int, labels: dict[str, str]) -> str:
    table: list[list[str]] = []
    for row in rows:
        run_id = str(row["run"] or "")
        run = f"; run {plain(labels.get(run_id, run_id))}" if run_id else ""
        name = f"**{row['recipe']}**" if row["way"] == "published" else ""
        cells = [_cell(row["metrics"][f"{metric}@{k}"]) for metric in TITLES]
        table.append([name, WAYS[row["way"]], *cells, f":small[{plain(row['dataset'])}, {row['protocol']}{run}]"])
    columns = ["recipe", "figures", *(f"{title}@{k}" for title in TITLES.values()), "how"]
    return as_markdown(pd.DataFrame(table, columns=columns), ":--", "--:")


def _cell(metric: dict[str, Any]) -> str:
    text = f"{metric['mean']:.4f}"
    return text if metric["low"] is None else f"{text} :gray[:small[±{half_width(metric)}]]"
