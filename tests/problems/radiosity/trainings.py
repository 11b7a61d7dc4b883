"""Small trainings of radiance fields."""

from invopt.problems import NeuralRadiosity


def small(scene="gap-room", **options):
    # Torch's encoder sums in a fixed order, whatever the number of threads.
    return NeuralRadiosity(
        scene, **({"preset": "paper", "field": "tiny", "n_points": 64, "n_directions": 4, "encoder": "torch"} | options)
    )
