"""Studies and views, the corpora they come from, pictures, words and batches."""
