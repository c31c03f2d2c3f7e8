"""Losses, the training loop and the state it can resume from."""
