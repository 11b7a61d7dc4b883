"""Estimators compared: errors during training and seconds per iteration."""
