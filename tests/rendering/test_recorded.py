"""Recorded functions are checked, now and then too, and given up where they do not pay."""

import numpy as np
import pytest

from invopt.rendering.recorded import MOST_RECORDINGS, TRIALS, Recorded, unwrapped_interrupts

pytestmark = pytest.mark.render


class Hidden:
    """What a recording does not see."""

    offset = 0.0


def test_a_difference_that_comes_late_is_found_at_the_next_power_of_two(mi):
    import drjit as dr

    hidden = Hidden()
    program = Recorded(lambda x: [x + hidden.offset])

    def call():
        return float(program(dr.opaque(mi.Float, 1.0))[0][0])

    assert [call() for _ in range(2 * TRIALS - 1)] == [1.0] * (2 * TRIALS - 1)
    hidden.offset = 5.0
    assert [call() for _ in range(4)] == [1.0, 1.0, 6.0, 6.0]
    assert program.recordings is None


def test_each_kind_of_arguments_is_compared(mi):
    import drjit as dr

    hidden = Hidden()
    program = Recorded(lambda x: x + hidden.offset)
    for _ in range(TRIALS + 2):
        assert float(program(dr.opaque(mi.Float, 1.0), kind="first")[0]) == 1.0
    hidden.offset = 5.0
    assert float(program(dr.opaque(mi.Float, 1.0), kind="second")[0]) == 6.0


def test_recording_ends_where_every_call_needs_a_new_one(mi):
    import drjit as dr

    program = Recorded(lambda x, factor: [x * factor])
    for factor in range(1, MOST_RECORDINGS + 3):
        np.testing.assert_array_equal(program(dr.opaque(mi.Float, 2.0), factor)[0], [2.0 * factor])
    assert program.recordings is None


def test_an_interrupt_that_drjit_wrapped_is_an_interrupt():
    def interrupted():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("the render failed") from error

    with pytest.raises(KeyboardInterrupt), unwrapped_interrupts():
        interrupted()
    with pytest.raises(RuntimeError, match="another"), unwrapped_interrupts():
        raise RuntimeError("another")
