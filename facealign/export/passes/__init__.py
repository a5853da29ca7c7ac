"""Graph passes; one file, one rewrite, one test."""
