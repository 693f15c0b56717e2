"""Times as the wire has them, and as people read them."""

from datetime import datetime, timedelta


def parsed(text: str) -> datetime:
    """A time of the wire."""
    return datetime.fromisoformat(text)


def short(duration: timedelta) -> str:
    """A duration in its two largest units: `42s`, `5m10s`, `3h12m`, `4d6h`."""
    seconds = max(0, int(duration.total_seconds()))
    units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
    parts: list[str] = []
    for size, unit in units:
        count, seconds = divmod(seconds, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return "".join(part for index, part in enumerate(parts[:2]) if index == 0 or not part.startswith("0"))


def stamp(at: datetime) -> str:
    """A time as people write it, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def moment(text: str | None, now: datetime) -> str:
    """A time of the wire, with how long ago or how far away it is; empty where there is none."""
    if text is None:
        return ""
    at = parsed(text)
    return f"{stamp(at)} ({short(now - at)} ago)" if at <= now else f"{stamp(at)} (in {short(at - now)})"
