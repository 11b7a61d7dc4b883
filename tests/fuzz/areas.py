"""Which area a case is of, by its number alone, and what it is."""

import random

import cases_classes
import cases_command
import cases_files
import cases_functions
import cases_minimize
import cases_scenes
import cases_session

# Each with its share of the cases.
AREAS = {
    "arguments": (cases_minimize.case, 25),
    "classes": (cases_classes.case, 19),
    "functions": (cases_functions.case, 18),
    "sessions": (cases_session.case, 9),
    "journals": (cases_files.journal_case, 9),
    "snapshots": (cases_files.snapshot_case, 8),
    "command": (cases_command.case, 8),
    "scenes": (cases_scenes.case, 4),
}


def area_of(number):
    """Area of a case."""
    shares = [share for _, share in AREAS.values()]
    return random.Random(f"area {number}").choices(list(AREAS), weights=shares)[0]


def case_of(number, folder):
    """What a case does, in words and as a call."""
    make, _ = AREAS[area_of(number)]
    return make(random.Random(f"case {number}"), folder)
