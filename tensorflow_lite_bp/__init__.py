"""Declare a neural network in a `.net` file, train it by vectorised backpropagation, export it to ONNX."""
