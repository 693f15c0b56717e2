"""Ids that sort by time."""

import uuid_utils

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_DIGITS = 26


def new_job_id() -> str:
    """`job-` and a UUIDv7 (RFC 9562) in base32hex (RFC 4648), 26 digits: text order is the order of time."""
    number = uuid_utils.uuid7().int
    digits = (_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(_DIGITS)))
    return f"job-{''.join(digits)}"
