"""The commands: parse, call one function, print. Results go to stdout, everything else to stderr."""
