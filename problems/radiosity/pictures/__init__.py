"""Pictures of fields, references, and errors of pictures."""
