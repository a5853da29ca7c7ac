"""What TensorRT 10.3 to 11.4 would misread, refuse or run badly; nothing here needs TensorRT."""
