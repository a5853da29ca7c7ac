"""The commands: parse, call one function, print. Results go to stdout, all else to stderr."""
