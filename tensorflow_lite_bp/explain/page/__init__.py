"""One file for a browser: the network drawn, and its derivation in every notation, form and language."""
