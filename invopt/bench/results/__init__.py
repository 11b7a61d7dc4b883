"""Results of the matrix: measures, tables, figures, and what the paper says."""
