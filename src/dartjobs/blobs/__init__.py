"""The only object storage: packages and logs, as objects that are written once and never changed."""
