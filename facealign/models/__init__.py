"""From a checkpoint file to a module: safe reading, detection, side files, networks."""
