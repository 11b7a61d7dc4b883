"""Journal: every evaluation of every run in one SQLite file, from which runs go on."""

from invopt.journal.reader import Evaluations, Journal, RunRecord

__all__ = ["Evaluations", "Journal", "RunRecord"]
