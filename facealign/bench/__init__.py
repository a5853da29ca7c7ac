"""How fast a graph runs: turns, statistics, a fixed rate, and what the machine did meanwhile."""
