"""ACM: the certificates of a Region. A load balancer takes only those of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_envdr.aws import Aws


@dataclass(frozen=True)
class Certificate:
    """A certificate: the names that it is for; `status` is ISSUED, PENDING_VALIDATION, EXPIRED, ...; when it ends."""

    arn: str
    names: tuple[str, ...]
    status: str
    until: datetime | None

    def covers(self, host: str) -> bool:
        """Whether it is for a host; a wildcard stands for one label."""
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names


def certificates(aws: Aws) -> list[Certificate]:
    """All of the Region, whatever their status."""
    what = f"The certificates in {aws.stack.region} cannot be read"
    rows = aws.pages("acm.ListCertificates", "CertificateSummaryList", what=what)
    found = []
    for row in rows:
        told = aws.call("acm.DescribeCertificate", what=what, CertificateArn=row["CertificateArn"])["Certificate"]
        names = (told.get("DomainName", ""), *told.get("SubjectAlternativeNames", []))
        found.append(
            Certificate(
                row["CertificateArn"], tuple(dict.fromkeys(names)), told.get("Status", ""), told.get("NotAfter")
            )
        )
    return found
