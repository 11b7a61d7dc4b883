"""Workers: `Objective.evaluate` in other processes and threads."""
