"""Threads use the renderer one at a time; each scenario runs in its own process."""

from pathlib import Path

import pytest

from invopt.core.machine import turn

# Runs whose results without other threads are known.
BEGINNING = f"""if True:
    import faulthandler
    import sys
    import threading
    from concurrent.futures import ThreadPoolExecutor

    faulthandler.dump_traceback_later(200, exit=True)
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    import numpy as np
    import torch
    from rooms import room

    import invopt
    from invopt import problems
    from invopt.rendering import Color, Translation

    def scene(at):
        parameters = [Translation("box", axes="x", bounds=(-1, 1)), Color("ball.bsdf.reflectance")]
        return problems.Scene(room(size=12), parameters=parameters, x_opt=[at, 0.3, 0.4, 0.5], spp=2, reference_spp=4)

    def run(at, estimator="auto", **options):
        return invopt.minimize(scene(at), estimator, rng=0, maxfev=12, **options).x.tolist()

    def both(*calls):
        found = [None] * len(calls)

        def keep(number, call):
            found[number] = call()

        threads = [threading.Thread(target=keep, args=item) for item in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

"""

SCENARIOS = {
    "two runs, the first ones of the process": """
    found = both(lambda: run(0.2), lambda: run(-0.3))
    assert found == [run(0.2), run(-0.3)], found
    """,
    "two runs with the renderer's own derivative": """
    if invopt.rendering.activate().value == "scalar":
        sys.exit()
    found = both(lambda: run(0.2, "autodiff"), lambda: run(-0.3, "autodiff"))
    # The backward pass adds single numbers in any order.
    np.testing.assert_allclose(found, [run(0.2, "autodiff"), run(-0.3, "autodiff")], rtol=1e-6)
    """,
    "two fields that are trained": """
    if invopt.rendering.activate().value == "scalar":
        sys.exit()

    def train(scene):
        problem = problems.NeuralRadiosity(scene, preset="paper", field="tiny", n_points=64, n_directions=2)
        return invopt.minimize(problem, rng=0, maxiter=8).x.tolist()

    found = both(lambda: train("gap-room"), lambda: train("cornell-box"))
    # As above: the table's gradient is scattered.
    np.testing.assert_allclose(found[0], train("gap-room"), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found[1], train("cornell-box"), rtol=1e-3, atol=1e-6)
    """,
    "a run in the callback of another": """
    inner = []

    def callback(*, intermediate_result):
        inner.append(run(-0.3))
        raise StopIteration

    outer = both(lambda: run(0.2, callback=callback))
    assert inner == [run(-0.3)] and outer[0] is not None
    """,
    "executors of threads, at once and within a run": """
    def pooled(at):
        with ThreadPoolExecutor(2) as pool:
            return run(at, workers=pool)

    def callback(*, intermediate_result):
        inner.append(pooled(-0.3))
        raise StopIteration

    inner, alone = [], [run(0.2), run(-0.3)]
    assert both(lambda: pooled(0.2), lambda: pooled(-0.3)) == alone
    assert both(lambda: pooled(0.2), lambda: run(-0.3)) == alone
    run(0.2, callback=callback)
    assert inner == alone[1:]
    """,
    "a session beside a run, and within one": """
    problem = scene(-0.3)

    def asked():
        # Where the scene was not read before, the loop reads it, in its own thread, when it makes its result.
        fresh = scene(-0.3)
        with invopt.Session(fresh, "shared-samples", x0=problem.x0, rng=0, maxfev=12, callback=seen) as session:
            while not session.done:
                request = session.ask()
                with fresh.open() as live:
                    session.tell(live.fun(torch.from_numpy(request.x), seed=request.seed).numpy())
            return session.result.x.tolist()

    def seen(*, intermediate_result):
        assert len(intermediate_result.parameters) == 2

    def callback(*, intermediate_result):
        inner.append(asked())
        raise StopIteration

    inner = []
    found = both(asked, lambda: run(0.2))
    assert found == [asked(), run(0.2)], found
    run(0.2, callback=callback)
    assert inner == found[:1]
    """,
    "processes of their own, at once": """
    assert both(lambda: run(0.2, workers=2), lambda: run(-0.3, workers=2)) == [run(0.2), run(-0.3)]
    """,
    "a scene that the user has open": """
    live = scene(0.2).open()
    x = scene(0.2).x0

    def pictures():
        return [live.image(x, seed=seed).tolist() for seed in range(8)]

    alone = pictures()
    found = both(pictures, lambda: run(-0.3), lambda: len(scene(0.1).x0))
    assert found == [alone, run(-0.3), 4], found[1:]
    """,
}


@pytest.mark.render
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_threads_take_turns(scenario, program):
    run = program(BEGINNING + SCENARIOS[scenario], timeout=250)
    assert run.returncode == 0, run.stderr[-3000:]


def test_a_lent_ticket_lets_a_thread_in():
    import threading

    entered = []

    def guest(lent):
        with turn.using(lent), turn.one_at_a_time():
            entered.append(lent)

    with turn.one_at_a_time():
        lent = turn.ticket()
        thread = threading.Thread(target=guest, args=(lent,))
        thread.start()
        thread.join(timeout=30)
        assert entered == [lent]
        stranger = threading.Thread(target=guest, args=("of another turn",))
        stranger.start()
        stranger.join(timeout=0.2)
        assert stranger.is_alive()
    stranger.join(timeout=30)
    assert entered == [lent, "of another turn"]
    assert turn.ticket() is None


def test_who_waits_long_is_told(monkeypatch, caplog):
    import threading

    monkeypatch.setattr(turn, "_SECONDS_UNTIL_WARNING", 0.05)
    waiting = threading.Thread(target=turn.one_at_a_time()(lambda: None))
    with turn.one_at_a_time():
        waiting.start()
        waiting.join(timeout=1)
        assert waiting.is_alive()
    waiting.join(timeout=30)
    assert "waits until the run of another thread has ended" in caplog.text


def test_the_turn_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), turn.one_at_a_time():
        raise ZeroDivisionError
    assert turn.ticket() is None
    with turn.one_at_a_time():
        pass
