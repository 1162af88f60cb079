"""Recommendations as text, for the command line."""

from typing import Any


def render_advice(advice: dict[str, Any], *, explain: bool) -> str:
    """What `advice.advice_of` gives, a list a model; with `explain` also what the window's movies do for one movie."""
    lines: list[str] = []
    for model in advice["models"]:
        lines += [_head(model), *(_place(item) for item in model["items"])]
        if explain:
            lines += _why(model["why"], advice["why"]["title"])
    return "\n".join(lines)


def _head(model: dict[str, Any]) -> str:
    if model["target_rank"] is None:
        return f"{model['run']}: after these movies"
    return f"{model['run']}: the held-out movie has rank {model['target_rank']}"


def _place(item: dict[str, Any]) -> str:
    marks = [word for word in ("hit", "repeat_window", "seen") if item[word]]
    return f"  {item['rank']:>3}  {item['title']}  {item['score']:.4f}  {' '.join(marks)}".rstrip()


def _why(why: dict[str, Any], title: str) -> list[str]:
    lines = [f"  why {title}: rank {why['rank']}, {why['score']:.4f}"]
    for reason in why["reasons"]:
        lines.append(
            f"    without {reason['title']}: rank {reason['rank_without']}, {reason['score_without']:.4f} "
            f"({reason['lift']:+.3f} log-probability with it)"
        )
    return lines
