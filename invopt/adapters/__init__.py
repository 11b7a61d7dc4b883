"""The same run, called in other ways: from scipy, and as ask and tell."""
