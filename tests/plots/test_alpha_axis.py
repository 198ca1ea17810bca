"""The axis of alphas, and those at which a network of every alpha is shown."""

import numpy as np
import pytest

from cladec import plots
from cladec.models.recipes import ALPHAS
from cladec.plots import alpha_axis


def test_alpha_lies_where_its_logit_does() -> None:
    axis = plots.AlphaAxis([0.0, 0.01, 0.5, 0.99, 0.999, 1.0])
    assert axis.place(0.5) == 0
    assert axis.place(0.01) == pytest.approx(-axis.place(0.99))
    assert axis.place(0.01) - axis.low == pytest.approx(1)
    assert axis.high - axis.place(0.999) == pytest.approx(1)
    for alpha in (0.0, 0.003, 0.01, 0.3, 0.999, 0.9997, 1.0):
        assert axis.alpha(axis.place(alpha)) == pytest.approx(alpha, abs=1e-12)
    assert plots.AlphaAxis([0.0, 1.0]).low == -plots.AlphaAxis([1.0]).high


def test_one_network_for_every_alpha_is_shown_at_even_steps() -> None:
    shown, axis = plots.slider_alphas(), plots.AlphaAxis(ALPHAS)
    assert set(ALPHAS) < set(shown)
    assert list(shown) == sorted(set(shown))
    steps = np.diff([axis.place(alpha) for alpha in shown])
    assert steps.max() < 1.5 * alpha_axis.STEP
    assert steps.min() > 0.5 * alpha_axis.STEP
