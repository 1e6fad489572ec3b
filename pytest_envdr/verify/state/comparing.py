"""Two states, and a state and AWS: differences as a list, empty where all is as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_envdr.terraform import Held, State

Kind: TypeAlias = Literal["lineage", "serial", "content", "missing", "extra", "gone", "orphan"]
SENTENCES: dict[Kind, str] = {
    "lineage": "The state is of lineage {actual}, expected {expected}: it is another stack's, or another history's",
    "serial": "The state has serial {actual}, expected {expected} or more: what was written after it is lost",
    "content": "The state has the serial of before and another content: its SHA-256 is {actual}, expected {expected}",
    "missing": "{subject} is not in the state: Terraform would create it once more",
    "extra": "{subject} is in the state, and was not before",
    "gone": "{subject} is in the state, and AWS has no {actual}",
    "orphan": "{subject} is tagged as managed, and not in the state: nothing manages it",
}


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as expected.

    Attributes:
        subject: an address, or an ARN; "" where it is about the state as a whole.
        kind: see `SENTENCES`.
        expected, actual: in words; "" where the kind says it all.
    """

    subject: str
    kind: Kind
    expected: str = ""
    actual: str = ""

    def __str__(self) -> str:
        """One plain sentence."""
        sentence = SENTENCES[self.kind].format(subject=self.subject, expected=self.expected, actual=self.actual)
        return f"{sentence}."


def described(state: State) -> str:
    """A state in words."""
    return f"serial {state.serial} of lineage {state.lineage} with {len(state.addresses)} resources"


def compare(before: State, now: State) -> list[Difference]:
    """What a state lacks of the one that was known: lineage, serial and addresses (aws-semantics 7.4).

    A higher serial is no difference: somebody applied since. With the same serial the bytes must be the same.
    """
    return [*_whole(before, now), *_addresses(before, now)]


def _whole(before: State, now: State) -> Iterator[Difference]:
    if now.lineage != before.lineage:
        yield Difference("", "lineage", before.lineage, now.lineage)
    if now.serial < before.serial:
        yield Difference("", "serial", str(before.serial), str(now.serial))
    elif (now.lineage, now.serial) == (before.lineage, before.serial) and now.sha256 != before.sha256:
        yield Difference("", "content", before.sha256, now.sha256)


def _addresses(before: State, now: State) -> Iterator[Difference]:
    for address in sorted(before.addresses - now.addresses):
        yield Difference(address, "missing")
    for address in sorted(now.addresses - before.addresses):
        yield Difference(address, "extra")


def held_against(state: State, tagged: Iterable[str], *, there: Callable[[str], bool | None]) -> list[Difference]:
    """A state against AWS, both ways (aws-semantics 7.6): what is in the state but gone, and what is tagged as managed
    but in no state.

    Args:
        state: what Terraform believes.
        tagged: the ARNs that the tagging API gives for the tag of what is managed; it may be late, and gives what was
            tagged once as well.
        there: whether AWS has what an ARN stands for; None where no call is known that tells: then what the state or
            the tagging API says holds.
    """
    known, found = _by_arn(state.resources), {_plain(arn) for arn in tagged}
    gone = [
        Difference(held.address, "gone", actual=arn)
        for arn, held in sorted(known.items())
        if held.managed and there(arn) is False
    ]
    orphans = [Difference(arn, "orphan") for arn in sorted(found - known.keys()) if there(arn) is not False]
    return gone + orphans


def _by_arn(resources: Iterable[Held]) -> dict[str, Held]:
    """By what AWS calls them; some types have the ARN as their id alone (`aws_ecs_service`)."""
    arns = ((held.arn or held.id, held) for held in resources)
    return {_plain(arn): held for arn, held in arns if arn.startswith("arn:")}


def _plain(arn: str) -> str:
    """An ARN without the `:*` that log groups' have in some answers."""
    return arn.removesuffix(":*")
