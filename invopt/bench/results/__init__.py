"""Results of a matrix: measures, tables, figures, and the paper's numbers."""
