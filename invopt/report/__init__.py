"""What people look at: progress, plots, pictures."""
