"""Curves of a page stay small, whatever the length of a drive."""

import numpy as np

from get_data.quality.html_curves import MOST_POINTS, thin_out


def test_a_long_curve_is_thinned_out_and_keeps_its_extremes():
    values = np.sin(np.arange(100_000) / 500).astype(np.float32) * 0.5
    values[70_001], values[20_002] = 1.0, -1.0
    rows, chosen = thin_out(values)
    assert len(rows) <= MOST_POINTS
    assert {70_001, 20_002} <= set(rows.tolist())
    assert (np.diff(rows) > 0).all()
    assert (chosen == values[rows]).all()


def test_a_short_curve_is_drawn_whole_without_what_is_unknown():
    rows, chosen = thin_out(np.array([0.1, np.nan, 0.3], np.float32))
    assert rows.tolist() == [0, 2]
    assert np.allclose(chosen, [0.1, 0.3])
    assert len(thin_out(np.full(5, np.nan, np.float32))[0]) == 0
