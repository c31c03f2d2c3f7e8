"""Features per study, clusters per finding, and the bank made of them."""
