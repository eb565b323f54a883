"""What CuPy has of CUDA's libraries: the double has a product of matrices."""
