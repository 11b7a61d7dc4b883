"""What a run keeps in files, and which run it goes on with."""
