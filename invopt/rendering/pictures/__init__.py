"""Pictures: read from files, compared with a film, displayed."""
