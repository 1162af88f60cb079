"""The native libraries as built for processors with narrower vectors than this one's, which runs them all the same."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from recformer.evaluation.native_ranks import evaluation_library
from recformer.model.native import build

# Most lanes to what leaves out wider registers. On a processor that has none of those, its own build is tested again.
NARROWER = {8: "-mno-avx512f", 4: "-mno-avx"} if platform.machine().lower() in ("x86_64", "amd64") else {4: "-O3"}


@contextmanager
def built_for(most_lanes: int) -> Iterator[None]:
    """Within it, libraries are those of processors with at most so many lanes."""
    evaluation_library.cache_clear()
    with patch.object(build, "FLAGS", (*build.FLAGS, NARROWER[most_lanes])):
        yield
    evaluation_library.cache_clear()
