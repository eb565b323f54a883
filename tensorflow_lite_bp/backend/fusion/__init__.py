"""From a list of recorded calls to few launches: pure analysis and source text, without a GPU and without CuPy."""
