"""How a job's id is written: `job-` and a UUIDv7 (RFC 9562) in base32hex (RFC 4648), 26 digits.

Its text sorts as its number does, and that by time.
"""

from base64 import b32hexencode
from datetime import UTC, datetime, timedelta

_DIGITS = 26
_BYTES = 20
"""160 bits are a whole number of digits, 32: the last 26 hold a UUID's 128."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_BITS_BELOW_THE_TIME = 80
_MOST = (1 << 48) - 1


def job_id_of(number: int) -> str:
    """The id of a UUID's 128 bits."""
    digits = b32hexencode(number.to_bytes(_BYTES, "big"))[-_DIGITS:]
    return f"job-{digits.decode().lower()}"


def first_id_at(moment: datetime, *, later: timedelta = timedelta(0)) -> str:
    """The lowest id of that millisecond, so much later: ids of before are below it, all others are not."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND + later // _MILLISECOND
    return job_id_of(min(max(milliseconds, 0), _MOST) << _BITS_BELOW_THE_TIME)
