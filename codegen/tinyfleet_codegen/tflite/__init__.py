"""Reader of .tflite files: every offset is checked, nothing is trusted, no TensorFlow is imported."""
