"""Journal: all evaluations of runs in one SQLite file, from which a run can be continued."""

from invopt.journal.reader import Evaluations, Journal, RunRecord

__all__ = ["Evaluations", "Journal", "RunRecord"]
