"""Which tags share a chart: the ones this project writes as it is used to, all others by their names."""

import re
from collections.abc import Iterable
from typing import Literal

# One chart each, in this order; whatever else a log holds comes after.
KNOWN = {
    "Loss": ["loss/train", "loss/validation"],
    "Ranking on validation, history masked": ["metric/ndcg@10", "metric/hr@10", "metric/mrr@10"],
    "Duplication in the raw top 10": ["duplication/window@10"],
    "Learning rate": ["lr"],
    "Windows per second": ["throughput/samples_per_s"],
}
Part = Literal["train", "validation", ""]
_PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "validation",
    "eval": "validation",
}
_WORD = re.compile(r"[A-Za-z]+")


def part_of(tag: str) -> Part:
    """What a tag was measured on: "train" for "loss/train" and "train_acc", "validation" for "val/loss", else ""."""
    for word in _WORD.findall(tag):
        if word.lower() in _PARTS:
            return _PARTS[word.lower()]
    return ""


def panels(tags: Iterable[str]) -> dict[str, list[str]]:
    """Title to tags of each chart. Tags that differ only in what they were measured on share one.

    >>> panels(["val/acc", "train/acc", "lr"])
    {'Learning rate': ['lr'], 'acc': ['train/acc', 'val/acc']}
    """
    there = set(tags)
    shown = {title: [tag for tag in known if tag in there] for title, known in KNOWN.items() if there & set(known)}
    rest = there - {tag for known in KNOWN.values() for tag in known}
    groups: dict[str, list[str]] = {}
    for tag in sorted(rest, key=lambda tag: (part_of(tag) != "train", tag)):
        groups.setdefault(_stem(tag), []).append(tag)
    # What is lost first: it is what is looked at first.
    for stem, group in sorted(groups.items(), key=lambda entry: ("loss" not in entry[0].lower(), entry[0])):
        if stem == "loss" and "Loss" in shown and any(part_of(tag) for tag in group):
            shown["Loss"] += group  # such as loss/val beside loss/train
            continue
        title = group[0] if len(group) == 1 else stem
        shown[title if title not in shown else f"{title} (all parts)"] = group
    return shown


def _stem(tag: str) -> str:
    """The tag without the word that says what it was measured on: "loss" for "train/loss" and for "loss_val"."""
    if not part_of(tag):
        return tag
    without = _WORD.sub(lambda word: "" if word[0].lower() in _PARTS else word[0], tag)
    return re.sub(r"([/_.\- ])[/_.\- ]+", r"\1", without).strip("/_.- ") or tag
