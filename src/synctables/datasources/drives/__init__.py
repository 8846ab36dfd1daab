"""What the connectors to cloud drives share."""
