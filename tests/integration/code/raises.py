"""Ends with a traceback."""

print("before the error", flush=True)
raise RuntimeError("the data is not there")  # noqa: EM101, TRY003 - as users write it
