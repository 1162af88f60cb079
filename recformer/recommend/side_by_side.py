"""Several models' recommendations for one user: as `recommend --json` prints and the app shows them, and as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from torch import nn

from recformer.checkpoint.load import load
from recformer.data.dataset import Dataset, Id, id_at, id_of
from recformer.data.nouns import Nouns
from recformer.errors import NotNumbersError, UsageError
from recformer.evaluation.dataset_check import check_fit
from recformer.evaluation.lists.kept import UNKNOWN_ITEM, read_kept
from recformer.evaluation.ranks import RECENT, Masking
from recformer.recommend.given_list import GivenList, advice_of_list, given_list
from recformer.recommend.overlap import jaccard, rank_biased_overlap
from recformer.recommend.scores import NextScores, explain, listed, next_scores_of, taken_out, target_ranks, top
from recformer.recommend.user_case import (
    NOT_ASKED,
    UserCase,
    display_title,
    imagined,
    item_tokens_of,
    unknown_id,
    user_case_of,
)
from recformer.recommend.window_edits import read
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root

Advice = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """What models are asked."""

    user: Id | None
    """User id; None for nobody of the dataset, where `items` says all that is known."""
    k: int
    masking: Masking
    items: tuple[Id, ...] | None = None
    """Item ids that somebody made up, oldest first, in place of the window; None for the user's own."""
    why: Id | None = None
    """Id of the item to explain; None for the first of the first model's list."""
    recent: int = RECENT
    """How many latest items are the window, for masking and repeats."""

    def user_case(self, dataset: Dataset) -> UserCase:
        """The case that models are asked about, whatever they read of it. Raises UsageError, DataError."""
        if self.items is not None:
            return imagined(dataset, self.items, self.recent, self.user)
        if self.user is None:
            raise UsageError(
                f"name a user of the dataset, or the {dataset.nouns.items} of a window",
                cli="Add --user ID or --items ID,ID",
            )
        return user_case_of(dataset, self.user, self.recent)


@dataclass(frozen=True, eq=False)
class Answer:
    """What one checkpoint expects in the case that was asked about."""

    checkpoint: ModelRef
    next_scores: NextScores


def query_of(
    dataset: Dataset,
    user: str | None,
    k: int,
    masking: Masking,
    items: str | None = None,
    why: str | None = None,
    recent: int = RECENT,
) -> Query:
    """A question in text: ids as they are written in an address or a command. Raises UsageError for an unknown one."""
    window, unknown = (None, []) if items is None else read(items, dataset.item_ids)
    if unknown:
        raise unknown_id(dataset.nouns.item, ", ".join(unknown), dataset.item_ids, dataset)
    user_id = None if user is None else id_of(dataset.user_ids, user)
    if user is not None and user_id is None:
        raise unknown_id("user", user, dataset.user_ids, dataset)
    why_id = None if why is None else id_of(dataset.item_ids, why)
    if why is not None and why_id is None:
        raise unknown_id(dataset.nouns.item, why, dataset.item_ids, dataset)
    return Query(user_id, k, masking, window, why_id, recent)


def advise(
    root: Root,
    checkpoints: list[ModelRef],
    dataset: Dataset,
    question: Query,
) -> Advice:
    """Ask every checkpoint the same; see Query and advice_of.

    Raises UsageError for a user, item or k that is not allowed, CheckpointError, DataError,
    EvaluationError.
    """
    if not checkpoints:
        raise UsageError("name at least one run or checkpoint")
    user_case = question.user_case(dataset)
    answers = [_answer(root, checkpoint, dataset, user_case) for checkpoint in checkpoints]
    return advice_of(answers, dataset, user_case, question)


def _answer(root: Root, checkpoint: ModelRef, dataset: Dataset, user_case: UserCase) -> Answer | GivenList:
    if checkpoint.is_lists:
        lists = read_kept(checkpoint.path, dataset.num_users, dataset.num_items)
        return given_list(checkpoint, lists, dataset, user_case)
    model, info = load(checkpoint.path)
    check_fit(root, info, dataset, checkpoint)
    return Answer(checkpoint, scores_by(checkpoint, model, info.shape.window, dataset, user_case))


def scores_by(checkpoint: ModelRef, model: nn.Module, length: int, dataset: Dataset, user_case: UserCase) -> NextScores:
    """What the model of a checkpoint expects; see `next_scores_of`. Raises NotNumbersError naming the checkpoint."""
    try:
        return next_scores_of(model, length, dataset, user_case)
    except NotNumbersError:
        raise NotNumbersError(str(checkpoint)) from None


def advice_of(answers: Sequence[Answer | GivenList], dataset: Dataset, user_case: UserCase, question: Query) -> Advice:
    """`{"user", "window", "target", "why", "models": [{"run", "checkpoint", "target_rank", "items", …}], "overlap"}`.

    Ids are the dataset's. "window" are the `recent` latest items, oldest first. "target" and "target_rank" are null
    where the latest items are made up; "target_rank", "score" and "why" also where a list made elsewhere does not say
    them. `answers` is not empty. Raises UsageError for a k or item that is not allowed.
    """
    explained = _explained(answers[0], dataset, user_case, question)
    models = [_model(answer, dataset, user_case, question, explained) for answer in answers]
    return {
        "user": user_case.user,
        "window": dataset.item_ids[user_case.window].tolist(),
        "recent": user_case.recent,
        "target": None if user_case.target is None else id_at(dataset.item_ids, user_case.target),
        "masking": question.masking,
        "why": {"item_id": id_at(dataset.item_ids, explained), "title": display_title(dataset, explained)},
        "models": models,
        "overlap": _overlap(models, dataset),
    }


def _explained(first: Answer | GivenList, dataset: Dataset, user_case: UserCase, question: Query) -> int:
    """Item token of the item to explain."""
    if question.why is not None:
        return int(item_tokens_of(dataset, [question.why])[0])
    if isinstance(first, GivenList):
        best = [one for one in first.left(user_case, dataset.num_items, question.masking) if one != UNKNOWN_ITEM]
    else:
        shown = user_case.candidates(dataset.num_items, question.masking)
        best = top(first.next_scores[0], shown, question.k)
    if not best:
        raise UsageError(f"masking {question.masking} leaves no {dataset.nouns.item} to recommend; mask less")
    return best[0]


def _model(
    answer: Answer | GivenList, dataset: Dataset, user_case: UserCase, question: Query, explained: int
) -> Advice:
    if isinstance(answer, GivenList):
        return advice_of_list(answer, dataset, user_case, question.k, question.masking)
    scores, k, masking = answer.next_scores[0], question.k, question.masking
    ranks = target_ranks(scores, user_case)
    hidden = {name: dataset.item_ids[items].tolist() for name, items in taken_out(scores, user_case, k).items()}
    return {
        "run": answer.checkpoint.run,
        "checkpoint": answer.checkpoint.name,
        "target_rank": None if ranks is None else ranks[masking],
        "items": listed(scores, dataset, user_case, k, masking),
        "masking": {"target_ranks": ranks, "taken_out": hidden},
        "why": explain(answer.next_scores, dataset, user_case, masking, explained),
    }


def _overlap(models: list[Advice], dataset: Dataset) -> list[Advice]:
    """Each pair of models, by their places in the list, with what their lists have in common."""
    lists = [dataset.item_ids.get_indexer([item["item_id"] for item in model["items"]])[None] for model in models]
    return [
        {
            "models": [one, other],
            "jaccard": float(jaccard(lists[one], lists[other])[0]),
            "rbo": float(rank_biased_overlap(lists[one], lists[other])[0]),
        }
        for one, other in combinations(range(len(models)), 2)
    ]


def render_advice(advice: dict[str, Any], nouns: Nouns, *, explain: bool) -> str:
    """What `advice_of` gives, a list a model; with `explain` also what the window's items do for one item."""
    lines: list[str] = []
    for model in advice["models"]:
        lines += [_head(model, nouns, advice["target"]), *(_place(item) for item in model["items"])]
        if explain:
            lines += _why(model["why"], advice["why"]["title"])
    return "\n".join(lines)


def _head(model: dict[str, Any], nouns: Nouns, target: Id | None) -> str:
    if target is None:
        return f"{model['run']}: after these {nouns.items}"
    if model["target_rank"] is None:
        return f"{model['run']}: the held-out {nouns.item} is not in its list, so its rank is unknown"
    return f"{model['run']}: the held-out {nouns.item} has rank {model['target_rank']}"


def _place(item: dict[str, Any]) -> str:
    marks = [word for word in ("hit", "repeat_window", "seen") if item[word]]
    score = "" if item["score"] is None else f"{item['score']:.4f}"
    return f"  {item['rank']:>3}  {item['title']}  {score}  {' '.join(marks)}".rstrip()


def _why(why: dict[str, Any] | None, title: str) -> list[str]:
    if why is None:
        return [f"  why {title}: {NOT_ASKED}"]
    lines = [f"  why {title}: rank {why['rank']}, {why['score']:.4f}"]
    for reason in why["reasons"]:
        lines.append(
            f"    without {reason['title']}: rank {reason['rank_without']}, {reason['score_without']:.4f} "
            f"({reason['lift']:+.3f} log-probability with it)"
        )
    return lines
