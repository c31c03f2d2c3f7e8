"""First stage of training: an image encoder learns the findings of chest films before any report is read."""
