"""The operators of ours that TensorRT runs as plugins."""
