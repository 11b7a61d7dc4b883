"""The arguments of `minimize`: what they may be, and what scipy's stand for."""
