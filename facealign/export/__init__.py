"""From a module to a verified graph: trace, simplify, lint, parity, first divergence."""
