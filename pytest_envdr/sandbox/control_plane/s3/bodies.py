"""Requests' bodies in XML."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from moto.s3.exceptions import MalformedXML

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def parsed(body: bytes) -> Element:
    """The root of a body, all names without their namespace.

    Raises:
        MalformedXML: it is not XML.
    """
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 (from clients of this machine's own user)
    except ElementTree.ParseError:
        raise MalformedXML from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text(element: Element, path: str) -> str | None:
    """The text of an element below; None where there is no such element."""
    found = element.find(path)
    return None if found is None else found.text or ""
