"""The reading page and the HTTP interface: draft reports for whoever sends the images of a study."""
