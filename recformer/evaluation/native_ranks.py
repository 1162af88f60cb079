"""Evaluation on a CPU in C++ (evaluation.cpp): the movie transformer's scores, and ranks from any model's scores."""

from collections.abc import Callable, Iterable
from ctypes import CDLL, Structure, addressof, byref, c_float, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recformer.data.histories import Cases, Histories
from recformer.errors import NotNumbersError
from recformer.evaluation.ranks import MAX_K, Ranks
from recformer.model.movie_transformer import MovieTransformer
from recformer.model.native.build import BuildError, library

_Tokens = NDArray[np.int32]


@cache
def evaluation_library() -> CDLL | None:
    """The library, compiled or found compiled; None where it cannot be had."""
    try:
        found = library("evaluation.cpp", {"MAX_K": MAX_K})
    except BuildError:
        return None
    found.rank.restype = found.score_and_rank.restype = c_int32
    return found


def native_ranks(scores: Tensor, histories: Histories, cases: Cases, candidates: int, recent: int) -> Ranks | None:
    """Ranks of cases (B) from scores (B, V), of which the first `candidates` tokens are ranked.

    None where the library cannot: without a compiler, and for scores that are not float32, contiguous and on the CPU.
    Raises NotNumbersError when a candidate's score is not a number.
    """
    plain = _plain([scores]) and scores.is_contiguous() and tuple(scores.shape) == (len(cases), histories.num_tokens)
    native = evaluation_library() if plain else None
    if native is None:
        return None
    at = c_void_p(scores.data_ptr())
    return _ranks(histories, cases, candidates, recent, lambda given, found: native.rank(given, at, found))


def _ranks(histories: Histories, cases: Cases, candidates: int, recent: int, rank: Callable[[Any, Any], int]) -> Ranks:
    """The ranks that `rank` writes, given the cases and where to; it returns 0 where a score is not a number."""
    tokens = np.ascontiguousarray(histories.tokens, dtype=np.int32)
    ends, firsts = np.ascontiguousarray(cases.ends), histories.user_starts[cases.users]
    reach = min(recent, len(tokens))  # C++ steps back from the target so far
    given = _Cases(*(_place(tokens), _place(ends), _place(firsts)), len(cases), reach, histories.num_tokens, candidates)
    empty = {name: _empty(name, len(cases)) for name in RANKS}
    found = Ranks(user=cases.users, target=histories.targets(cases), **empty)
    if not rank(byref(given), byref(_Ranks(*(_place(getattr(found, name)) for name in RANKS)))):
        raise NotNumbersError
    return found


class NativeModel:
    """A movie transformer's weights as the library reads them, for as long as the model lives and does not train."""

    def __init__(self, native: CDLL, model: MovieTransformer) -> None:
        self._native, self._num_users = native, model.sizes.num_users
        self._kept: list[Any] = [model]
        encoder, first = model.movie_transformer, model.movie_transformer.layers[0]
        linears = [layer for layer in model.output_layer.fc_layers if isinstance(layer, nn.Linear)]
        width, repeat = first.layer_norm1.normalized_shape[0], model.repeat_bias
        self.call = _Model(
            *(self._place(encoder.token_embedding.weight), self._place(encoder.positional_embedding.weight)),
            *(self._place(model.user_embedding.weight), None if repeat is None else self._place(repeat)),
            self._pair(encoder.layer_norm),
            self._array(_Layer, [self._layer(layer) for layer in encoder.layers]),
            self._array(_Pair, [self._pair(linear) for linear in linears]),
            self._array(c_int64, [linear.out_features for linear in linears[:-1]]),
            *(len(encoder.layers), len(linears) - 1, model.sizes.window, width),
            *(model.user_embedding.embedding_dim, first.attention.num_heads, model.sizes.num_tokens),
            first.layer_norm1.eps,
        )

    def scores(self, inputs: NDArray[np.int32], users: NDArray[np.int32]) -> Tensor:
        """(B, V) float32 from windows (B, T) and users (B,), without dropout.

        Raises IndexError for what the model has no weights of.
        """
        tokens, owners = self._checked(inputs, users)
        found = torch.empty(len(inputs), self.call.vocabulary)
        places = (c_void_p(_place(tokens)), c_void_p(_place(owners)))
        self._native.score(byref(self.call), *places, c_int64(len(tokens)), c_void_p(found.data_ptr()))
        return found

    def ranks(
        self, inputs: NDArray[np.int32], histories: Histories, cases: Cases, candidates: int, recent: int
    ) -> Ranks:
        """As `native_ranks` from `scores`, without keeping these; `inputs` (B, T) are what the model reads."""
        tokens, users = self._checked(inputs, cases.users)
        if self.call.vocabulary != histories.num_tokens:
            raise IndexError(f"a model of {self.call.vocabulary} tokens for histories of {histories.num_tokens}")
        model = (byref(self.call), c_void_p(_place(tokens)), c_void_p(_place(users)))

        def rank(given: Any, found: Any) -> int:
            return self._native.score_and_rank(*model, given, found)

        return _ranks(histories, cases, candidates, recent, rank)

    def _checked(self, inputs: _Tokens, users: _Tokens) -> tuple[_Tokens, _Tokens]:
        """Windows and users as the library reads them."""
        tokens, owners = np.ascontiguousarray(inputs, dtype=np.int32), np.ascontiguousarray(users, dtype=np.int32)
        if tokens.shape != (len(owners), self.call.window):
            raise IndexError(f"windows of shape {tokens.shape}, not {(len(owners), self.call.window)}")
        for what, values, count in (("token", tokens, self.call.vocabulary), ("user", owners, self._num_users)):
            if len(values) and not 0 <= values.min() <= values.max() < count:
                raise IndexError(f"{what} {values.min()} to {values.max()}: the model knows 0 to {count - 1}")
        return tokens, owners

    def _layer(self, layer: Any) -> "_Layer":
        parts = (layer.layer_norm1, layer.attention.qkv, layer.attention.out)
        return _Layer(*map(self._pair, (*parts, layer.layer_norm2, layer.mlp.fc1, layer.mlp.fc2)))

    def _pair(self, module: Any) -> "_Pair":
        return _Pair(self._place(module.weight), None if module.bias is None else self._place(module.bias))

    def _place(self, weight: Tensor) -> int:
        kept = weight.detach().contiguous()
        self._kept.append(kept)
        return kept.data_ptr()

    def _array(self, kind: Any, values: list[Any]) -> int:
        array = (kind * len(values))(*values)
        self._kept.append(array)
        return addressof(array)


def native_model(model: nn.Module) -> NativeModel | None:
    """A model as the library reads it; None for models it does not know, on other devices and without a compiler."""
    if type(model) is not MovieTransformer or not _plain(model.parameters()):
        return None
    native = evaluation_library()
    return None if native is None else NativeModel(native, model)


def _plain(tensors: Iterable[Tensor]) -> bool:
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)


def _place(array: NDArray[Any]) -> int:
    return array.ctypes.data


RANKS = (
    *("rank_none", "rank_window", "rank_history"),
    *("window_repeats_none", "history_repeats_none", "history_repeats_window"),
    *("top_none", "top_window", "top_history"),
)


def _empty(name: str, rows: int) -> NDArray[Any]:
    shape = (rows,) if name.startswith("rank") else (rows, MAX_K)
    return np.empty(shape, dtype=np.uint8 if "repeats" in name else np.int32)


class _Cases(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("tokens", "ends", "firsts")),
        *((name, c_int64) for name in ("rows", "recent", "vocabulary", "candidates")),
    )


class _Ranks(Structure):
    _fields_ = tuple((name, c_void_p) for name in RANKS)


class _Pair(Structure):
    _fields_ = (("weight", c_void_p), ("bias", c_void_p))


class _Layer(Structure):
    _fields_ = tuple((name, _Pair) for name in ("norm1", "qkv", "out", "norm2", "fc1", "fc2"))


class _Model(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("token", "position", "user", "repeat")),
        ("norm", _Pair),
        *((name, c_void_p) for name in ("layers", "head", "hidden")),
        *((name, c_int64) for name in ("num_layers", "num_hidden", "window", "width")),
        *((name, c_int64) for name in ("user_width", "heads", "vocabulary")),
        ("epsilon", c_float),
    )
