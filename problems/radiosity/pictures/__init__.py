"""Pictures of a field, references, and how far apart they are."""
