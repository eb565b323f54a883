"""Private names of CuPy that the package uses: the double has no others."""
