"""From a module to a verified graph: trace, simplify, lint, parity, and where a difference begins."""
