"""Which preset the form begins with."""

import pytest

from recformer.config import preset_names
from recformer.training.recommended import recommended_preset
from tests.builders import dataset_of


@pytest.mark.parametrize(
    ("lengths", "preset", "why"),
    [
        ([3, 4, 5], "fast", "12 interactions"),
        ([9] * 1200, "ridge", "half of 1,200 users have fewer than 15 interactions"),
        ([20] * 600, "fast", "12,000 interactions"),
        ([500] * 1000, "quick", "500,000 interactions"),
    ],
)
def test_the_recommendation_follows_how_much_there_is(lengths: list[int], preset: str, why: str) -> None:
    dataset = dataset_of([[place % 50 for place in range(length)] for length in lengths], num_items=50)
    name, words = recommended_preset(dataset)
    assert (name, name in preset_names()) == (preset, True)
    assert why in words
