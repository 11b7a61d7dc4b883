"""What a machine renders with: LLVM, CUDA, and whether they work."""
