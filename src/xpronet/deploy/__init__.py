"""The network outside PyTorch: exported graphs, and the runtimes that run them."""
