"""What the API does, once: the routes of every API call these."""
