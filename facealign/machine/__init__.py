"""What this machine is, read from its files and libraries; the standard library alone."""
