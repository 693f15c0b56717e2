"""The certificates of one cluster: an authority, the API server's, the kubelet's; and a key for service accounts."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = dt.timedelta(days=365)
_EARLIER = dt.timedelta(minutes=5)
_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def write(folder: Path, addresses: Sequence[str], now: dt.datetime) -> None:
    """Make `ca`, `server`, `kubelet` and `client` (each `.crt` and `.key`) and `sa.key`.

    `client` is what the API server shows to kubelets. Service accounts have an RSA key: their tokens are signed RS256.

    Args:
        folder: where; made if absent.
        addresses: IP addresses by which the API server and the kubelet are reached.
        now: certificates are valid from a little before this, for a year.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = _named("testbed")
    root = _certificate(issuer, issuer, authority.public_key(), now).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    _save(folder / "ca.key", authority)
    (folder / "ca.crt").write_bytes(_pem(root.sign(authority, hashes.SHA256())))
    subjects = {
        "server": _named("kube-apiserver"),
        "kubelet": _named("kubelet"),
        "client": _named("kube-apiserver-kubelet-client", "system:masters"),
    }
    names = [*map(x509.DNSName, _NAMES), *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses)]
    for name, subject in subjects.items():
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if name == "client" else ExtendedKeyUsageOID.SERVER_AUTH
        signed = (
            _certificate(subject, issuer, key.public_key(), now)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(authority, hashes.SHA256())
        )
        _save(folder / f"{name}.key", key)
        (folder / f"{name}.crt").write_bytes(_pem(signed))
    _save(folder / "sa.key", rsa.generate_private_key(public_exponent=65_537, key_size=2048))


def _named(name: str, group: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID)
    )


def _save(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
