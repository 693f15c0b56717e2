"""The database's settings are refused with a word that helps, and never with the password."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from dartjobs.store.settings import DatabaseSettings

URL = SecretStr("mysql+asyncmy://ann:secret@db:3306/dartjobs")


@pytest.mark.parametrize(
    "url", ["mysql://ann:secret@db/dartjobs", "postgresql+asyncpg://ann:secret@db/dartjobs", "secret", ""]
)
def test_a_driver_that_is_not_ours_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"mysql\+asyncmy://") as raised:
        DatabaseSettings(url=SecretStr(url))
    assert "secret" not in str(raised.value)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(DatabaseSettings(url=URL))


def test_a_certificate_of_ours_alone_would_not_be_used() -> None:
    with pytest.raises(ValidationError, match="tls_ca"):
        DatabaseSettings(url=URL, tls_cert=Path("client.pem"))
