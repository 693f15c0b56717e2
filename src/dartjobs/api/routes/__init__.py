"""A file for each resource: parse, call a service, return."""
