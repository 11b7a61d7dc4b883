"""Pictures: read from files, matched with a film, shown."""
