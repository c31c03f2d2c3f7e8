"""One thin module per verb of the command line."""
