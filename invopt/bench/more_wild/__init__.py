"""The set of Moré and Wild: 53 problems of nonlinear least squares, and data profiles."""
