"""Values and derivatives of a user's function."""
