"""Ranks by the native library and by PyTorch, which must not differ in anything."""

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recformer.data.windows import Windows
from recformer.errors import EvaluationError
from recformer.evaluation import ranker
from recformer.evaluation.native_ranks import evaluation_library
from recformer.evaluation.ranks import Ranks
from recformer.evaluation.torch_ranks import ranks_by_torch


def rank_batch(scores: Tensor, windows: Windows, rows: NDArray[np.int64], items_only: bool) -> Ranks:
    """What `ranker.rank_batch` says, having seen that PyTorch says the same, an error too."""
    assert evaluation_library() is not None
    by_torch = ranks_by_torch(scores, windows, rows, windows.num_items if items_only else windows.num_tokens)
    try:
        found = ranker.rank_batch(scores, windows, rows, items_only)
    except EvaluationError:
        assert by_torch is None
        raise
    assert by_torch is not None
    for field in fields(Ranks):
        one, other = getattr(found, field.name), getattr(by_torch, field.name)
        assert one.dtype == other.dtype, field.name
        np.testing.assert_array_equal(one, other, err_msg=field.name)
    return found
