"""A runner's token: for one attempt alone, derived, never stored."""

import hmac
from hashlib import sha256


def attempt_token(secret: bytes, installation: str, attempt_id: str) -> str:
    """HMAC-SHA256 over installation and attempt, in hex."""
    return hmac.new(secret, f"{installation}\n{attempt_id}".encode(), sha256).hexdigest()


def is_attempt_token(secret: bytes, installation: str, attempt_id: str, token: str) -> bool:
    """Whether the token is that attempt's; takes the same time whatever is wrong."""
    return hmac.compare_digest(attempt_token(secret, installation, attempt_id).encode(), token.encode())
