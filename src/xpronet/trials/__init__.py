"""The paper's experiments: variants of a recipe, each trained, tested and scored once."""
