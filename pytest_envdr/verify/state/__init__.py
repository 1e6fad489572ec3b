"""Terraform's state: chosen among its versions, compared, and held against AWS both ways.

    from pytest_envdr.terraform import state_of
    from pytest_envdr.verify import state

    known = state_of(body)                         # lineage, serial, addresses; no attribute's value
    judged = state.judge(candidates, lineage=known.lineage)
    found = state.compare(known, state_of(restored))
    found += state.held_against(state_of(restored), tagged, there=partial(state.there, aws))

A state holds secrets in plain text (aws-semantics 7.9): nothing here has more of it than names, ids and ARNs.
"""

from __future__ import annotations

from pytest_envdr.verify.state.choosing import Candidate, Judged, judge, push_refusal
from pytest_envdr.verify.state.comparing import Difference, Kind, compare, described, held_against
from pytest_envdr.verify.state.importing import import_block
from pytest_envdr.verify.state.locks import Lock
from pytest_envdr.verify.state.presence import is_part, there

__all__ = [
    "Candidate",
    "Difference",
    "Judged",
    "Kind",
    "Lock",
    "compare",
    "described",
    "held_against",
    "import_block",
    "is_part",
    "judge",
    "push_refusal",
    "there",
]
