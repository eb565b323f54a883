"""Side by side with other libraries, in one run: `python -m benchmarks` from the checkout, with the extra `peers`."""
