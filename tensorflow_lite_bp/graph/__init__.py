"""From a checked program to arrays that compute: the graph of layers, its weights, the plan of a step, the trainer."""
