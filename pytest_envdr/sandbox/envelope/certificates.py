"""The certificate of the public hosts, imported into each Region: a load balancer takes only one of its own Region.

The sandbox's load balancers speak plain HTTP; the certificate is there for what asks whether a Region has one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pytest_envdr.sandbox.envelope.names import SERVICES

if TYPE_CHECKING:
    from pytest_envdr.sandbox.envelope.account import Account

HOSTS = [service.host for service in SERVICES if service.load_balancer]
LASTS = timedelta(days=365)


def create(account: Account, *regions: str) -> None:
    """Import one into each Region: it is ISSUED at once, where one that is requested waits for its validation."""
    certificate, key = _signed_by_itself()
    for region in regions:
        account.client("acm", region).import_certificate(Certificate=certificate, PrivateKey=key)


def _signed_by_itself() -> tuple[bytes, bytes]:
    """A certificate and its key, as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + LASTS)
    certificate = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
