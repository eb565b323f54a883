"""ONNX: a trained network written as a model that onnxruntime runs, and the proof that it gives the same numbers."""
