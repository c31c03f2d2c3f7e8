"""The reading page and the HTTP interface: draft reports for whoever sends the pictures of a study."""
