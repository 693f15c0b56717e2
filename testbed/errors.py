"""What the test bed says when it cannot."""


class TestbedError(Exception):
    """This machine cannot do it, or a server did not; the message says what to do."""

    __test__ = False  # pytest takes every class whose name begins so for tests
