"""Who: accounts, their schemas, reader roles and API keys."""
