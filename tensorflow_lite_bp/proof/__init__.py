"""Whether the gradients are right: by algebra, and by central differences."""
