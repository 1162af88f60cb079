"""Colours of runs: each keeps its own, and what is drawn together can be told apart."""

from hypothesis import given
from hypothesis import strategies as st

from recformer.run.labels import COLOURS
from recformer.ui.shared.palette import OKABE_ITO, THIN, baseline_styles, styles_together


def test_there_is_a_colour_for_every_number() -> None:
    assert len(OKABE_ITO) == len(set(OKABE_ITO)) == COLOURS


def test_of_two_with_one_colour_the_first_keeps_it() -> None:
    one, other = OKABE_ITO[:2]
    assert [style.colour for style in styles_together([one, other])] == [one, other]
    first, second = styles_together([one, one])
    assert first.colour == one and second.colour != one


@given(st.lists(st.sampled_from(OKABE_ITO), max_size=3 * COLOURS))
def test_lines_drawn_together_differ_and_no_colour_is_used_again_before_all_are(own: list[str]) -> None:
    styles = styles_together(own)
    assert len(set(styles)) == len(own)
    assert all(style.width == THIN for style in styles[:COLOURS])


@given(st.lists(st.sampled_from(OKABE_ITO), max_size=8 * COLOURS))
def test_points_drawn_together_differ_in_colour_or_shape_and_a_colour_has_its_shape(own: list[str]) -> None:
    styles = styles_together(own)
    looks = {(style.colour, style.glyph) for style in styles}
    assert len(looks) == len(own)
    alone = {style.colour: style.glyph for colour in OKABE_ITO for style in styles_together([colour])}
    assert all(style.glyph == alone[style.colour] for style in styles[:COLOURS])


def test_every_baseline_looks_different() -> None:
    styles = list(baseline_styles().values())
    assert len({(style.colour, style.glyph) for style in styles}) == len(styles)


@given(st.permutations(OKABE_ITO))
def test_different_colours_are_kept(own: list[str]) -> None:
    assert [style.colour for style in styles_together(own)] == own
