"""Ranks by the native library and by PyTorch, which must not differ in anything."""

import numpy as np
import pytest
from numpy.typing import NDArray
from recformer.data.windows import Windows
from torch import Tensor

from recformer.errors import EvaluationError
from recformer.evaluation import ranker
from recformer.evaluation.native_ranks import evaluation_library
from recformer.evaluation.ranks import Ranks
from recformer.evaluation.torch_ranks import torch_ranks


def rank_batch(scores: Tensor, windows: Windows, rows: NDArray[np.int64], items_only: bool) -> Ranks:
    """What `ranker.rank_batch` says, having seen that PyTorch says the same, an error too."""
    assert evaluation_library() is not None
    candidates = windows.num_items if items_only else windows.num_tokens
    try:
        found = ranker.rank_batch(scores, windows, rows, items_only)
    except EvaluationError:
        with pytest.raises(EvaluationError):
            torch_ranks(scores, windows, rows, candidates)
        raise
    by_torch = torch_ranks(scores, windows, rows, candidates).arrays()
    for name, one in found.arrays().items():
        other = by_torch[name]
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, err_msg=name)
    return found
