"""Several models' recommendations for one user, in the shape that `recommend --json` prints and the app shows."""

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from torch import nn

from recformer.checkpoint.load import load
from recformer.data.dataset import Dataset
from recformer.errors import NotNumbersError, UsageError
from recformer.evaluation.dataset_check import check_fit
from recformer.evaluation.ranks import Masking
from recformer.recommend.explain import NextScores, explain, imagined, next_scores_of
from recformer.recommend.overlap import jaccard, rank_biased_overlap
from recformer.recommend.scores import UserCase, display_title, item_tokens_of, listed, masking_effect, user_case_of
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root

Advice = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """What models are asked."""

    user: int | None
    """User id; None for nobody of the dataset, where `movies` says all that is known."""
    k: int
    masking: Masking
    movies: tuple[int, ...] | None = None
    """Item ids of a window that somebody made up, oldest first; None for the user's own."""
    why: int | None = None
    """Item id of the movie to explain; None for the first of the first model's list."""

    def user_case(self, dataset: Dataset, window: int) -> UserCase:
        """The user_case a model with this window is asked in. Raises UsageError, DataError."""
        if self.movies is not None:
            return imagined(dataset, self.movies, window, self.user)
        if self.user is None:
            raise UsageError(
                "name a user of the dataset, or the movies of a window", cli="Add --user ID or --movies ID,ID"
            )
        return user_case_of(dataset, self.user, window)


@dataclass(frozen=True, eq=False)
class Answer:
    """What one checkpoint expects in the user_case that was asked about."""

    checkpoint: ModelRef
    next_scores: NextScores


def advise(
    root: Root,
    checkpoints: list[ModelRef],
    dataset: Dataset,
    user: int | None,
    k: int,
    masking: Masking,
    movies: tuple[int, ...] | None = None,
    why: int | None = None,
) -> Advice:
    """Ask every checkpoint the same; see Query and advice_of.

    Raises UsageError for a user, movie, k or mix of windows that is not allowed, CheckpointError, DataError,
    EvaluationError.
    """
    question = Query(user, k, masking, movies, why)
    answers: list[Answer] = []
    user_case: UserCase | None = None
    for checkpoint in checkpoints:
        model, info = load(checkpoint.path)
        check_fit(root, info, dataset, checkpoint)
        require_window(checkpoint, info.shape.window, None if user_case is None else len(user_case.window))
        user_case = question.user_case(dataset, info.shape.window)
        answers.append(Answer(checkpoint, outlook_by(checkpoint, model, dataset, user_case)))
    if user_case is None:
        raise UsageError("name at least one run or checkpoint")
    return advice_of(answers, dataset, user_case, question)


def outlook_by(checkpoint: ModelRef, model: nn.Module, dataset: Dataset, user_case: UserCase) -> NextScores:
    """What the model of a checkpoint expects; see `next_scores_of`. Raises NotNumbersError naming the checkpoint."""
    try:
        return next_scores_of(model, dataset, user_case)
    except NotNumbersError:
        raise NotNumbersError(str(checkpoint)) from None


def require_window(checkpoint: ModelRef, window: int, others: int | None) -> None:
    """Raises UsageError where a model reads more or fewer movies than the `others` before it (None: it is the first).

    Then no one window would be the input of all.
    """
    if others is not None and window != others:
        raise UsageError(
            f"{checkpoint} has a window of {window}, the others one of {others}: ask models of one window at a time"
        )


def advice_of(answers: list[Answer], dataset: Dataset, user_case: UserCase, question: Query) -> Advice:
    """`{"user", "window", "target", "why", "models": [{"run", "checkpoint", "target_rank", "items", …}], "overlap"}`.

    Ids are the dataset's; SOS, which opens a short window, is left out of "window". "target" and "target_rank" are
    null where the window is made up. `answers` is not empty. Raises UsageError for a k or movie that is not allowed.
    """
    explained = _explained(answers[0], dataset, user_case, question)
    models = [_model(answer, dataset, user_case, question, explained) for answer in answers]
    window = user_case.window[user_case.window < dataset.num_items]
    return {
        "user": user_case.user,
        "window": dataset.item_ids[window].tolist(),
        "target": None if user_case.target is None else int(dataset.item_ids[user_case.target]),
        "masking": question.masking,
        "why": {"item_id": int(dataset.item_ids[explained]), "title": display_title(dataset, explained)},
        "models": models,
        "overlap": _overlap(models),
    }


def _explained(first: Answer, dataset: Dataset, user_case: UserCase, question: Query) -> int:
    if question.why is not None:
        return int(item_tokens_of(dataset, [question.why])[0])
    items = listed(first.next_scores.whole, dataset, user_case, question.k, question.masking).items
    if not items:
        raise UsageError(f"masking {question.masking} leaves no movie to recommend; mask less")
    return items[0].item_token


def _model(answer: Answer, dataset: Dataset, user_case: UserCase, question: Query, explained: int) -> Advice:
    scores = answer.next_scores.whole
    found = listed(scores, dataset, user_case, question.k, question.masking)
    effect = masking_effect(scores, user_case, question.k)
    why = explain(answer.next_scores, user_case, question.masking, explained)
    return {
        "run": answer.checkpoint.run_id or answer.checkpoint.path.stem,
        "checkpoint": answer.checkpoint.name,
        "target_rank": found.target_rank,
        "items": [{key: value for key, value in asdict(item).items() if key != "item_token"} for item in found.items],
        "masking": {
            "target_ranks": effect.target_ranks,
            "taken_out": {key: dataset.item_ids[tokens].tolist() for key, tokens in effect.taken_out.items()},
        },
        "why": {
            "score": why.share,
            "rank": why.rank,
            "reasons": [
                {
                    "item_id": int(dataset.item_ids[reason.item_token]),
                    "title": display_title(dataset, reason.item_token),
                    "lift": reason.lift,
                    "score_without": reason.share,
                    "rank_without": reason.rank,
                }
                for reason in why.reasons
            ],
        },
    }


def _overlap(models: list[Advice]) -> list[Advice]:
    """Each pair of models, by their places in the list, with what their lists have in common."""
    lists = [np.array([[item["item_id"] for item in model["items"]]], dtype=np.int64) for model in models]
    return [
        {
            "models": [one, other],
            "jaccard": float(jaccard(lists[one], lists[other])[0]),
            "rbo": float(rank_biased_overlap(lists[one], lists[other])[0]),
        }
        for one, other in combinations(range(len(models)), 2)
    ]
