"""TensorRT on a device: plans from graphs, and engines that run them; numpy, TensorRT and CUDA."""
