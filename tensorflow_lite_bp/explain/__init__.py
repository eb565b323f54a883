"""The derivation of a declared network, in a textbook's notation: every equation, its shapes, its reason, its code."""
