"""Scenes read from files and dictionaries, identified by content, and written."""
