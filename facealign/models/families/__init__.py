"""One folder per published architecture; each holds a `FAMILY`. None imports another."""
