"""Tables as pure functions: results to Markdown with the best in bold and the uncertainty in lighter print."""

from typing import Any

from recformer.ui.words import plain

Result = dict[str, Any]


def metric_table(results: list[Result], labels: list[str], metric: str, cutoffs: list[int], reference: int) -> str:
    """One row a model, one column a cutoff: mean ± half the interval, and the difference to the reference model.

    `results` are those of one masking, in the order of `labels`; the best mean of a column is bold, except for
    duplication, where the least is.
    """
    header = "| | " + " | ".join(f"@{k}" for k in cutoffs) + " |"
    rule = "| :-- |" + " --: |" * len(cutoffs)
    rows = [
        f"| {plain(label)}{' :gray[(reference)]' if position == reference and len(results) > 1 else ''} | "
        + " | ".join(_cell(results, position, f"{metric}@{k}") for k in cutoffs)
        + " |"
        for position, label in enumerate(labels)
    ]
    return "\n".join([header, rule, *rows])


def _cell(results: list[Result], position: int, name: str) -> str:
    metric = results[position]["metrics"][name]
    means = [result["metrics"][name]["mean"] for result in results]
    best = min(means) if name.startswith("duplication") else max(means)
    text = f"{metric['mean']:.4f}"
    text = f"**{text}**" if metric["mean"] == best and len(results) > 1 else text
    return f"{text} :gray[:small[±{(metric['high'] - metric['low']) / 2:.3f}]]{_difference(metric, name)}"


def _difference(metric: dict[str, Any], name: str) -> str:
    if "difference" not in metric:
        return ""
    difference = metric["difference"]
    text = f"{difference['mean']:+.4f}".replace("-", "−")
    if difference["low"] <= 0 <= difference["high"]:
        return f" :gray[:small[({text})]]"
    better = (difference["mean"] > 0) != name.startswith("duplication")
    return f" :{'green' if better else 'red'}[:small[({text} {'▲' if difference['mean'] > 0 else '▼'})]]"


def config_differences(configs: dict[str, dict[str, Any]], everything: bool) -> list[dict[str, str]]:
    """One row a setting, one column a run: those that differ, or `everything`."""
    flat = {name: dict(_flatten(config)) for name, config in configs.items()}
    keys = list(dict.fromkeys(key for config in flat.values() for key in config if key != "name"))
    rows: list[dict[str, str]] = []
    for key in keys:
        cells = {name: str(config.get(key, "–")) for name, config in flat.items()}
        if everything or len(set(cells.values())) > 1:
            rows.append({"setting": key, **cells})
    return rows


def _flatten(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in config.items():
        pairs += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return pairs
