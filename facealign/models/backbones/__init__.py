"""Networks that a head can sit on."""
