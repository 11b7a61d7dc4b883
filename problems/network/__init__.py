"""Networks in front of a black box."""
