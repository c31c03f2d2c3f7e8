"""Studies and views, the corpus folder, datasets and batches."""
