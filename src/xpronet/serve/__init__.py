"""The reading page and the HTTP interface: draft reports over the network, with their evidence."""
