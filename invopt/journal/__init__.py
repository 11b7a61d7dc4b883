"""Journal: all evaluations of runs in an SQLite file; runs can be continued."""

from invopt.journal.reader import Evaluations, Journal, RunRecord

__all__ = ["Evaluations", "Journal", "RunRecord"]
