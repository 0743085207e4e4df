"""From a .tflite file to C for a Cortex-M board: reader, IR, passes, plan, printers. NumPy only."""
