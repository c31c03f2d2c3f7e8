"""An image encoder, a report model, a labeler, a metric and a corpus reader, as a package beside XProNet adds them."""
