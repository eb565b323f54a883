"""From a network and its data to trained weights: the loop, checkpoints, run folders, progress, curves.

`loop.fit` is the way in. `state` is all that the next step depends on, `keeper` saves it in a `run` folder as a
`checkpoint`; `progress` is what people see meanwhile, `result` and `curves` what they get in the end.
"""
