"""Ranks by the native library and by PyTorch, which must not differ in anything."""

from typing import Literal

import numpy as np
import pytest
from torch import Tensor

from recformer.data.histories import Cases, Histories
from recformer.errors import EvaluationError
from recformer.evaluation import ranker
from recformer.evaluation.native_ranks import evaluation_library
from recformer.evaluation.ranks import RECENT, Ranks
from recformer.evaluation.torch_ranks import torch_ranks


def rank_batch(
    scores: Tensor, histories: Histories, cases: Cases, item_set: Literal["items", "tokens"], recent: int = RECENT
) -> Ranks:
    """What `ranker.rank_batch` says, having seen that PyTorch says the same, an error too."""
    assert evaluation_library() is not None
    candidates = histories.num_items if item_set == "items" else histories.num_tokens
    try:
        found = ranker.rank_batch(scores, histories, cases, item_set, recent)
    except EvaluationError:
        with pytest.raises(EvaluationError):
            torch_ranks(scores, histories, cases, candidates, recent)
        raise
    by_torch = torch_ranks(scores, histories, cases, candidates, recent).arrays()
    for name, one in found.arrays().items():
        other = by_torch[name]
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, err_msg=name)
    return found
