"""Pictures with their sparse Jacobians by textures, colours and lights."""
