"""The network: attention, prototype matching, transformer, checkpoints."""
