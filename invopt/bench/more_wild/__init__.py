"""The set of Moré and Wild: 53 problems, runs on them, data profiles."""
