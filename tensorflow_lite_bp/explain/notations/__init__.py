"""The notations: one file each, found by itself."""
