"""The Python client, synchronous and asynchronous: `from dartjobs import Client, AsyncClient`."""
