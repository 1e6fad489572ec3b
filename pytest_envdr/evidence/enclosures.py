"""What is attached to a drill, in the report: small text in full, the rest as a link, each with its hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_envdr.evidence.markup import Html, join, tag

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_envdr.evidence.rows import Attachment

MOST_BYTES = 64 * 1024
"""Longer ones are only linked to."""
_TEXT = ("text/", "application/json", "application/xml", "application/toml", "application/yaml")


def render(attachments: Sequence[Attachment], directory: Path) -> Html:
    """The attachments, behind their number."""
    if not attachments:
        return Html("")
    amount = tag("span", f"{len(attachments)}", class_="amount")
    rows = (_attachment(one, directory) for one in attachments)
    return tag("details", tag("summary", "Attachments", amount), tag("ul", *rows, class_="attachments"))


def _attachment(one: Attachment, directory: Path) -> Html:
    content = _content(one, directory)
    link = (
        tag("a", one.name or one.path, href=quote(one.path, errors="replace"))
        if _inside(one, directory)
        else tag("b", one.name)
    )
    state = "" if content is None else _state(one, content)
    missing = tag("b", " is missing", class_="bad") if content is None else None
    return tag(
        "li", link, missing, tag("b", state, class_="bad"), tag("code", f"sha256 {one.sha256}"), _shown(one, content)
    )


def _state(one: Attachment, content: bytes) -> str:
    return "" if hashlib.sha256(content).hexdigest() == one.sha256 else " has changed since it was attached"


def _content(one: Attachment, directory: Path) -> bytes | None:
    """What is in it, None where it is not there, or lies elsewhere."""
    try:
        return (directory / one.path).read_bytes() if _inside(one, directory) else None
    except OSError:
        return None


def _inside(one: Attachment, directory: Path) -> bool:
    """Whether it lies in the evidence's directory: nothing else of this machine gets into a report."""
    try:
        return (directory / one.path).resolve().is_relative_to(directory.resolve())
    except (OSError, ValueError):
        return False  # no file has such a name


def _shown(one: Attachment, content: bytes | None) -> Html:
    if content is None or len(content) > MOST_BYTES or not one.media_type.startswith(_TEXT):
        return Html("")
    return join(tag("details", tag("summary", "show"), tag("pre", content.decode("utf-8", "replace"))))
