"""What is known of the parameters of a problem."""
