"""Sentinels that break one rule each: the simulator must convict every one of them.

Owns the variants, each a patch of the real machine, and how a patch is put into it. Sentinels are run from their
sources (the package is not compiled), so a function can be replaced wherever it is used.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from gossamer.sentinel import failover, hello, instances, resetting, roles, voting
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_NOTICE
from gossamer.sentinel.instances import (
    FAILOVER_WAIT_PROMOTION,
    PRIMARY_DOWN,
    PROMOTED,
    Address,
    Instance,
)
from gossamer.sentinel.machine import Sentinel
from support.sentinel_run import Run
from support.sentinel_world import SentinelNode

Original = Callable[..., Any]
Patch = tuple[object, str, Callable[[Any], Any]]  # owner, attribute, how to make the broken one


@contextmanager
def broken(patches: list[Patch]) -> Iterator[None]:
    """Within it the machine is broken: methods in their class, functions in every module that has imported them."""
    undo: list[tuple[Any, str, Any]] = []
    for owner, name, make in patches:
        original = getattr(owner, name)
        replacement = make(original)
        owners: list[Any] = [owner]
        if not isinstance(owner, type):
            owners = [
                m
                for key, m in sys.modules.items()
                if key.startswith(("gossamer.sentinel", "support.sentinel"))
            ]
        for each in owners:
            if getattr(each, name, None) is original:
                undo.append((each, name, original))
                setattr(each, name, replacement)
        if not isinstance(owner, type):
            for state, step in list(failover.STEPS.items()):
                if step is original:
                    failover.STEPS[state] = replacement
                    undo.append((failover.STEPS, str(state), original))
    try:
        yield
    finally:
        for each, name, original in reversed(undo):
            if isinstance(each, dict):
                each[int(name)] = original
            else:
                setattr(each, name, original)


def nothing(original: Original) -> Original:
    return lambda *arguments: None


def never(original: Original) -> Original:
    return lambda *arguments: False


def always(original: Original) -> Original:
    return lambda *arguments: True


# -- votes ------------------------------------------------------------------------------------------------------


def votes_again(original: Original) -> Original:
    def vote(core: SentinelCore, primary: Instance, epoch: int, candidate: bytes) -> tuple[bytes, int]:
        if primary.leader != candidate and primary.leader_epoch == epoch:
            primary.leader_epoch = epoch - 1
        result: tuple[bytes, int] = original(core, primary, epoch, candidate)
        return result

    return vote


def forgets_votes(original: Original) -> Original:
    def start(self: SentinelNode) -> None:
        self.disk = [line for line in self.disk if b"leader-epoch" not in line]
        original(self)

    return start


def without_saving(original: Original) -> Original:
    """What the function does is saved at the next tick."""

    def run(core: SentinelCore, *arguments: Any) -> Any:
        def save() -> bool:
            core.unsaved = True
            core.save_failed_ms = core.now_ms - 10_000
            return True

        core.save = save  # type: ignore[method-assign]
        try:
            return original(core, *arguments)
        finally:
            del core.save

    return run


def believes_in_saves(original: Original) -> Original:
    def save(self: SentinelCore) -> bool:
        original(self)
        return True

    return save


def counts(needed_votes: Callable[[Instance], int], own_weight: int = 1, any_epoch: bool = False) -> Any:
    """Another way to count votes."""

    def make(original: Original) -> Original:
        def elected(core: SentinelCore, primary: Instance, epoch: int) -> bytes:
            found: dict[bytes, int] = {}
            for each in primary.sentinels.values():
                if each.leader and (any_epoch or each.leader_epoch == epoch):
                    found[each.leader] = found.get(each.leader, 0) + 1
            favourite = max(found, key=lambda leader: found[leader]) if found else core.state.my_id
            mine, mine_epoch = voting.vote(core, primary, epoch, favourite)
            if mine and mine_epoch == epoch:
                found[mine] = found.get(mine, 0) + own_weight
            for leader, votes in found.items():
                if votes >= needed_votes(primary):
                    return leader
            return b""

        return elected

    return make


def majority(primary: Instance) -> int:
    return max((len(primary.sentinels) + 1) // 2 + 1, primary.quorum)


def majority_of_reachable(primary: Instance) -> int:
    reachable = 1 + sum(1 for each in primary.sentinels.values() if not each.link.disconnected)
    return reachable // 2 + 1


def asks_in_current_epoch(original: Original) -> Original:
    """As redis-sentinel does."""

    def question(core: SentinelCore, primary: Instance) -> list[bytes]:
        words: list[bytes] = original(core, primary)
        words[4] = b"%d" % core.state.current_epoch
        return words

    return question


def counts_in_current_epoch(original: Original) -> Original:
    def elected(core: SentinelCore, primary: Instance, epoch: int) -> bytes:
        found: dict[bytes, int] = {}
        for each in primary.sentinels.values():
            if each.leader and each.leader_epoch == core.state.current_epoch:
                found[each.leader] = found.get(each.leader, 0) + 1
        favourite = max(found, key=lambda leader: found[leader]) if found else core.state.my_id
        mine, mine_epoch = voting.vote(core, primary, epoch, favourite)
        if mine and mine_epoch == epoch:
            found[mine] = found.get(mine, 0) + 1
        for leader, votes in found.items():
            if votes >= majority(primary):
                return leader
        return b""

    return elected


def trusts_itself(original: Original) -> Original:
    """Who asks for votes leads at once."""

    def elected(core: SentinelCore, primary: Instance, epoch: int) -> bytes:
        original(core, primary, epoch)
        return core.state.my_id

    return elected


# -- epochs and configurations ------------------------------------------------------------------------------------


def same_epoch_again(original: Original) -> Original:
    def start(core: SentinelCore, primary: Instance, forced: bool = False) -> bool:
        core.state.current_epoch -= 1 if core.state.current_epoch else 0
        started: bool = original(core, primary, forced)
        return started

    return start


def takes_any_configuration(original: Original) -> Original:
    def take(core: SentinelCore, primary: Instance, sentinel: Instance, message: hello.Hello) -> None:
        if not core.is_at(primary, message.primary_host, message.primary_port):
            before = primary.config_epoch
            primary.config_epoch = -1
            original(core, primary, sentinel, message)
            if primary.config_epoch < 0:
                primary.config_epoch = before
            return
        original(core, primary, sentinel, message)

    return take


def hides_promotion(original: Original) -> Original:
    def current(primary: Instance) -> Address:
        return primary.address

    return current


def keeps_old_epoch(original: Original) -> Original:
    def complete(core: SentinelCore, primary: Instance, replica: Instance) -> None:
        epoch = primary.failover_epoch
        primary.failover_epoch = primary.config_epoch
        original(core, primary, replica)
        primary.failover_epoch = epoch

    return complete


def forgets_sentinels(original: Original) -> Original:
    def change(core: SentinelCore, primary: Instance, address: Address) -> None:
        original(core, primary, address)
        primary.sentinels = {}

    return change


def forgets_old_primary(original: Original) -> Original:
    def change(core: SentinelCore, primary: Instance, address: Address) -> None:
        old = primary.address
        original(core, primary, address)
        for key, replica in list(primary.replicas.items()):
            if replica.address.same_as(old):
                del primary.replicas[key]

    return change


# -- down and orders ----------------------------------------------------------------------------------------------


def quorum_of_one(original: Original) -> Original:
    def check(core: SentinelCore, primary: Instance) -> None:
        quorum, primary.quorum = primary.quorum, 1
        original(core, primary)
        primary.quorum = quorum

    return check


def remembers_opinions(original: Original) -> Original:
    """What another Sentinel once held for down stays so."""

    def on_reply(core: SentinelCore, sentinel: Instance, reply: object) -> None:
        flags = sentinel.flags
        original(core, sentinel, reply)
        sentinel.flags |= flags & PRIMARY_DOWN

    return on_reply


def keeps_opinions(original: Original) -> Original:
    """Nor does a switch end it."""

    def reset(core: SentinelCore, primary: Instance, with_sentinels: bool, tell: bool) -> None:
        down = [each for each in primary.sentinels.values() if each.flags & PRIMARY_DOWN]
        original(core, primary, with_sentinels, tell)
        for each in down:
            each.flags |= PRIMARY_DOWN

    return reset


def puts_back_at_once(original: Original) -> Original:
    def put_back(core: SentinelCore, primary: Instance, replica: Instance) -> None:
        if not replica.flags & PROMOTED and roles.order_replication(core, replica, primary.address):
            core.event(LOG_NOTICE, b"+convert-to-slave", replica)

    return put_back


def promotes_blindly(original: Original) -> Original:
    """The order was sent, so it was obeyed."""

    def send_order(core: SentinelCore, primary: Instance) -> None:
        original(core, primary)
        if primary.failover_state == FAILOVER_WAIT_PROMOTION and primary.promoted_replica is not None:
            roles.complete_promotion(core, primary, primary.promoted_replica)

    return send_order


def turns_all_at_once(original: Original) -> Original:
    def reconf(core: SentinelCore, primary: Instance) -> None:
        allowed, primary.parallel_syncs = primary.parallel_syncs, 100
        original(core, primary)
        primary.parallel_syncs = allowed

    return reconf


def least_data_first(original: Original) -> Original:
    def preference(replica: Instance) -> tuple[int, int]:
        return replica.replica_priority, replica.replica_offset

    return preference


def waits_for_ever(original: Original) -> Original:
    def abort(core: SentinelCore, primary: Instance) -> None:
        primary.failover_state_changed_ms = core.now_ms

    return abort


def turns_to_old_primary(original: Original) -> Original:
    """The others are ordered to follow the primary of the configuration before."""

    def order(core: SentinelCore, instance: Instance, address: Address | None) -> bool:
        primary = instance.primary
        if address is not None and primary is not None:
            address = primary.address
        ordered: bool = original(core, instance, address)
        return ordered

    return order


VARIANTS: Final[dict[str, list[Patch]]] = {
    "votes twice per epoch": [(voting, "vote", votes_again)],
    "forgets votes on restart": [(SentinelNode, "start", forgets_votes)],
    "tells of a vote before it is saved": [(voting, "vote", without_saving)],
    "asks for votes before the epoch is saved": [(failover, "start", without_saving)],
    "takes a failed save for a good one": [(SentinelCore, "save", believes_in_saves)],
    "publishes a configuration before it is saved": [(roles, "complete_promotion", without_saving)],
    "leads with any vote (ignores the majority)": [(voting, "elected_leader", counts(lambda primary: 1))],
    "leads with quorum votes (ignores the majority)": [
        (voting, "elected_leader", counts(lambda primary: primary.quorum))
    ],
    "leads with a majority (ignores the quorum)": [
        (voting, "elected_leader", counts(lambda primary: (len(primary.sentinels) + 1) // 2 + 1))
    ],
    "a majority of those it reaches is enough": [(voting, "elected_leader", counts(majority_of_reachable))],
    "counts its own vote twice": [(voting, "elected_leader", counts(majority, own_weight=2))],
    "counts votes of any epoch": [(voting, "elected_leader", counts(majority, any_epoch=True))],
    "leads without an election": [(voting, "elected_leader", trusts_itself)],
    "begins a failover in an epoch that was used": [(failover, "start", same_epoch_again)],
    "ignores config epochs of others": [(hello, "take_configuration", takes_any_configuration)],
    "never takes a configuration over": [(hello, "take_configuration", nothing)],
    "keeps the old config epoch after a promotion": [(roles, "complete_promotion", keeps_old_epoch)],
    "publishes the old address with the new epoch": [(instances, "current_address", hides_promotion)],
    "forgets the other Sentinels at a switch": [(resetting, "change_address", forgets_sentinels)],
    "forgets the old primary at a switch": [(resetting, "change_address", forgets_old_primary)],
    "alone decides that the primary is down": [(voting, "check_objectively_down", quorum_of_one)],
    "never revises what others held for down": [
        (voting, "on_is_down_reply", remembers_opinions),
        (voting, "ASK_VALIDITY_PERIODS", lambda original: 10**9),
        (resetting, "reset_primary", keeps_opinions),
    ],
    "ignores jumps of the clock (no TILT)": [(Sentinel, "check_tilt", nothing)],
    "takes an order for done": [(failover, "send_slaveof_noone", promotes_blindly)],
    "turns all replicas at once": [(failover, "reconf_slaves", turns_all_at_once)],
    "prefers the replica with the least data": [(failover, "preference", least_data_first)],
    "never demotes the old primary": [(roles, "put_back", nothing)],
    "demotes whoever says that it is a primary, at once": [(roles, "put_back", puts_back_at_once)],
    "leaves replicas of the wrong primary alone": [(roles, "put_right", nothing)],
    "turns the replicas to the old primary": [(roles, "order_replication", turns_to_old_primary)],
    "never gives a failover up": [(failover, "abort", waits_for_ever)],
}

# Too rare a chain of events for a search of a few hundred seeds: for `--seed N --variant` only.
RARELY_CAUGHT: Final[dict[str, list[Patch]]] = {
    "asks for and counts votes in the current epoch": [
        (voting, "question", asks_in_current_epoch),
        (voting, "elected_leader", counts_in_current_epoch),
    ],
}


class Conviction:
    """What the search for a guilty seed found."""

    def __init__(self, name: str, seed: int, violation: str, seconds: float) -> None:
        self.name = name
        self.seed = seed  # -1: none of those tried
        self.violation = violation
        self.seconds = seconds

    def line(self) -> str:
        verdict = f"{self.seed:>6}  {self.violation}" if self.seed >= 0 else "  none  NOT CONVICTED"
        return f"{self.name:<52}{verdict}"


def convict(name: str, seeds: range) -> Conviction:
    """The first of the seeds in which a variant breaks a rule."""
    started = time.monotonic()
    with broken(VARIANTS[name]):
        for seed in seeds:
            violations = Run(seed).violations
            if violations and violations[0].startswith("survival"):
                raise AssertionError(f"{name} falls over with seed {seed}: {violations[0]}")
            if violations:
                return Conviction(name, seed, violations[0], time.monotonic() - started)
    return Conviction(name, -1, "", time.monotonic() - started)
