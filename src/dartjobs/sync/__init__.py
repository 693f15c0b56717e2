"""The Sync Service of one cluster: observe, decide, act or record."""
