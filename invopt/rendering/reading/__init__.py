"""Scenes as they are read, told apart and written: dictionaries, files, keys."""
