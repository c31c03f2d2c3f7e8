"""From a recipe and a corpus to trained runs, their scores, and variants side by side."""
