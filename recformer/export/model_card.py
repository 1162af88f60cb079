"""The model card: what a model is and how well it did, from evaluations that are stored, for people and model hubs."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from recformer import __version__
from recformer.checkpoint.info import CheckpointInfo
from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.user_sample import UserSample
from recformer.errors import RecformerError
from recformer.evaluation.evaluate import Task, pending
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.report import as_markdown, protocol_in_words, split_in_words
from recformer.evaluation.store import store_key_of, stored_protocols
from recformer.evaluation.table import Evaluation, summarise_view
from recformer.files.gate import on_a_line
from recformer.run.model_ref import ModelRef
from recformer.run.overview import find_run
from recformer.run.paths import Root

METRICS = ("ndcg@10", "hr@10", "mrr@10", "ndcg@20", "hr@20", "duplication/window@10", "coverage@10", "novelty@10")
MASKING = "history"


def model_card(root: Root, model: ModelRef, info: CheckpointInfo, dataset: Dataset) -> str:
    """Markdown below a YAML block. Validation comes first; the test stands there only if somebody evaluated it.

    `info` is of the model, which fits the dataset.
    """
    name = on_a_line(find_run(root, model.run_id).name if model.run_id else model.run)
    evaluations = _stored(root, model, dataset)
    results = [summarise_view([one], MASKING, METRICS)[0]["metrics"] for one in evaluations]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    block = _metadata(name, info, dataset, [one.protocol for one in evaluations], results)
    return environment.get_template("model_card.jinja").render(
        block=yaml.safe_dump(block, sort_keys=False, allow_unicode=True),
        name=name,
        info=info,
        items=dataset.nouns.count(dataset.num_items),
        dataset=on_a_line(dataset.name),
        fingerprint=dataset.fingerprint,
        version=__version__,
        sections=[_section(one, metrics) for one, metrics in zip(evaluations, results, strict=True)],
    )


def _stored(root: Root, model: ModelRef, dataset: Dataset) -> list[Evaluation]:
    """The evaluations of a model as it is now on its dataset, validation first; nothing is computed."""
    key = store_key_of(root, model)
    found: list[Evaluation] = []
    for protocol, _ in [] if key is None else stored_protocols(key):
        with suppress(RecformerError, ValueError):  # of other data, or of a version that had other splits
            if (evaluation := pending(root, model, _task(protocol, dataset)).stored()) is not None:
                found.append(evaluation)
    return sorted(found, key=lambda one: one.protocol.part != "validation")


def _task(protocol: Protocol, dataset: Dataset) -> Task:
    ties = {} if protocol.time_ties == "file" else {"time_ties": protocol.time_ties}
    sample = None if protocol.sample is None else UserSample(**protocol.sample)
    return Task(dataset, parse_section("split", protocol.split | ties), protocol.part, protocol.recent, sample)


def _metadata(
    name: str, info: CheckpointInfo, dataset: Dataset, protocols: Sequence[Protocol], results: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What model hubs read, as the Hugging Face Hub documents it."""
    block: dict[str, Any] = {
        "library_name": "recformer",
        "tags": ["recommender-system", "sequential-recommendation", info.model["name"]],
        "datasets": [dataset.name],
        "metrics": list(dict.fromkeys(metric.partition("@")[0] for metric in METRICS)),
    }
    if not results:
        return block
    task = {"type": "sequential-recommendation", "name": "Sequential recommendation"}
    entries = [
        {
            "task": task.copy(),
            "dataset": {"type": dataset.name, "name": dataset.name, "split": protocol.part}
            | {"config": protocol.split["name"]},
            "metrics": [{"type": metric, "value": round(value["mean"], 6)} for metric, value in metrics.items()],
        }
        for protocol, metrics in zip(protocols, results, strict=True)
    ]
    return block | {"model-index": [{"name": name, "results": entries}]}


def _section(evaluation: Evaluation, metrics: dict[str, Any]) -> dict[str, str]:
    """Title, words and table of one evaluation."""
    protocol = evaluation.protocol
    rows = [(name, f"{value['mean']:.4f}", _interval(value)) for name, value in metrics.items()]
    known, seen = evaluation.known, ("trained on", "chosen by")
    counts = [
        f"{verb} {'an unknown number' if number is None else f'{number:,}'}"
        for verb, number in zip(seen, (known.trained_on, known.validated_on), strict=True)
    ]
    return {
        "title": f"On the {protocol.part} part of {protocol.split['name']}",
        "protocol": protocol_in_words(protocol, MASKING),
        "known": f"Of these {protocol.cases:,} cases the model was {' and '.join(counts)}.",
        "split": split_in_words(evaluation.split_facts),
        "table": as_markdown(pd.DataFrame(rows, columns=["metric", "mean", "95% interval over users"]), "---", "--:"),
    }


def _interval(value: dict[str, Any]) -> str:
    return "" if value["low"] is None else f"{value['low']:.4f} to {value['high']:.4f}"
