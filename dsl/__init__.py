"""The `.net` language: text in, checked `Program` out. Imports neither numpy nor tensorflow_lite_bp."""
