"""Reports for people: progress bar, tables, plots, images."""
