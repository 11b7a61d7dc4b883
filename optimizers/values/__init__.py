"""Methods that use values only, as generators of points under one driver."""
