"""HTML and SVG from values: what is not `Html` already is escaped, so nothing from outside becomes markup."""

from __future__ import annotations

from html import escape
from typing import TypeAlias


class Html(str):
    """Text that is markup."""

    __slots__ = ()


Child: TypeAlias = str | float | None
Attribute: TypeAlias = str | float | bool | None
_VOID = frozenset({"br", "hr", "img", "col"})


def text(value: Child) -> Html:
    """A value as markup; what is `Html` stays, None is nothing."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("")
    return Html(escape(writable(str(value))))


def writable(value: str) -> str:
    """The same without what no file takes: the halves of surrogate pairs become question marks."""
    return value.encode("utf-8", "replace").decode()


def join(*children: Child) -> Html:
    """Markup and values, one after the other."""
    return Html("".join(text(child) for child in children))


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element. `class_` is `class`, `stroke_width` is `stroke-width`; None and False leave an attribute out."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    written = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else text(value)
    return f' {name}="{written}"'
