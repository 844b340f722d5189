"""Agreement: who says that the primary is down, and who may lead the failover of an epoch.

Owns both sides of SENTINEL IS-MASTER-DOWN-BY-ADDR, "objectively down", votes and their count.

Invariants, on which "one leader per epoch" stands:

1. A vote is for one epoch and one primary, is given once, and is durable before anybody hears of it.
2. Votes are asked for, and counted, in the epoch of the failover that they are for, whatever has become the current
   epoch meanwhile. (redis-sentinel asks in its current epoch; then votes of two epochs may add up to one leader.)
3. A leader has the votes of a majority of all known Sentinels, and of at least `quorum`.
"""

from __future__ import annotations

from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_VERBOSE, LOG_WARNING, Reply
from gossamer.sentinel.instances import (
    EPOCH_MAX,
    FAILOVER_NONE,
    MAX_DESYNC_MS,
    OBJECTIVELY_DOWN,
    PRIMARY_DOWN,
    REQUEST_IS_DOWN,
    SUBJECTIVELY_DOWN,
    Instance,
)
from gossamer.sentinel.links import send

NOBODY = b"*"
ASK_VALIDITY_PERIODS = 5

# -- down, as several see it --------------------------------------------------------------------------------


def check_objectively_down(core: SentinelCore, primary: Instance) -> None:
    votes = 0
    if primary.flags & SUBJECTIVELY_DOWN:
        forget_old_opinions(core, primary)
        votes = 1 + sum(1 for each in primary.sentinels.values() if each.flags & PRIMARY_DOWN)
    if votes and votes >= primary.quorum:
        if not primary.flags & OBJECTIVELY_DOWN:
            core.event(LOG_WARNING, b"+odown", primary, b" #quorum %d/%d" % (votes, primary.quorum))
            primary.flags |= OBJECTIVELY_DOWN
            primary.objectively_down_since_ms = core.now_ms
    elif primary.flags & OBJECTIVELY_DOWN:
        core.event(LOG_WARNING, b"-odown", primary)
        primary.flags &= ~OBJECTIVELY_DOWN


def forget_old_opinions(core: SentinelCore, primary: Instance) -> None:
    """What another Sentinel said counts for a few seconds. It may be older here: in TILT nobody asks."""
    valid_ms = core.state.timings.ask_period * ASK_VALIDITY_PERIODS
    for sentinel in primary.sentinels.values():
        if abs(core.now_ms - sentinel.last_primary_down_reply_ms) > valid_ms:
            sentinel.flags &= ~PRIMARY_DOWN
            sentinel.leader = b""


def ask_others(core: SentinelCore, primary: Instance, at_once: bool) -> None:
    """Ask the other Sentinels whether the primary is down, and during a failover for their votes."""
    period = core.state.timings.ask_period
    forget_old_opinions(core, primary)
    for sentinel in primary.sentinels.values():
        elapsed = abs(core.now_ms - sentinel.last_primary_down_reply_ms)
        if not primary.flags & SUBJECTIVELY_DOWN or sentinel.link.disconnected:
            continue
        if not at_once and elapsed < period:
            continue
        send(core, sentinel, question(core, primary), REQUEST_IS_DOWN)


def question(core: SentinelCore, primary: Instance) -> list[bytes]:
    seeks_votes = primary.failover_state > FAILOVER_NONE
    epoch = primary.failover_epoch if seeks_votes else core.state.current_epoch
    return [
        b"SENTINEL",
        b"is-master-down-by-addr",
        core.state.announced(primary.address),
        b"%d" % primary.address.port,
        b"%d" % epoch,
        core.state.my_id if seeks_votes else NOBODY,
    ]


def on_is_down_reply(core: SentinelCore, sentinel: Instance, reply: Reply) -> None:
    """[whether it sees the primary down, whom it voted for or *, in which epoch]"""
    if not isinstance(reply, list) or len(reply) != 3:
        return
    down, leader, epoch = reply
    if not isinstance(down, int) or not isinstance(leader, bytes) or not isinstance(epoch, int):
        return
    sentinel.last_primary_down_reply_ms = core.now_ms
    if down == 1:
        sentinel.flags |= PRIMARY_DOWN
    else:
        sentinel.flags &= ~PRIMARY_DOWN
    if leader != NOBODY:
        if sentinel.leader_epoch != epoch:
            core.door.log(LOG_VERBOSE, b"%s voted for %s %d" % (sentinel.name, leader, epoch))
        sentinel.leader = leader
        sentinel.leader_epoch = epoch


# -- votes --------------------------------------------------------------------------------------------------


def vote(core: SentinelCore, primary: Instance, epoch: int, candidate: bytes) -> tuple[bytes, int]:
    """Vote for a candidate if this Sentinel has not voted in that epoch; whom it voted for last, and when.

    What could not be made durable has not happened.
    """
    state = core.state
    before = (state.current_epoch, primary.leader, primary.leader_epoch)
    is_new_epoch = epoch > state.current_epoch
    votes = primary.leader_epoch < epoch and state.current_epoch <= epoch
    if not (is_new_epoch or votes):
        return primary.leader, primary.leader_epoch
    if not core.may_save():
        return primary.leader, primary.leader_epoch
    state.current_epoch = max(epoch, state.current_epoch)
    if votes:
        primary.leader = candidate
        primary.leader_epoch = epoch
    if not core.save():
        state.current_epoch, primary.leader, primary.leader_epoch = before
        return primary.leader, primary.leader_epoch
    if is_new_epoch:
        core.announce(LOG_WARNING, b"+new-epoch", b"%d" % epoch, primary)
    if votes:
        core.announce(LOG_WARNING, b"+vote-for-leader", b"%s %d" % (candidate, epoch), primary)
        if candidate != state.my_id:
            # the other one leads now: begin no failover of one's own soon
            primary.failover_start_ms = core.now_ms + core.door.random_below(MAX_DESYNC_MS)
    return primary.leader, primary.leader_epoch


def answer(
    core: SentinelCore, host: bytes, port: int, epoch: int, candidate: bytes
) -> tuple[bool, bytes, int]:
    """The reply to IS-MASTER-DOWN-BY-ADDR: down, leader (empty: nobody), its epoch. `*` asks for no vote."""
    primary = core.primary_at(host, port)
    if primary is None:
        return False, b"", 0
    down = bool(primary.flags & SUBJECTIVELY_DOWN) and not core.state.tilt
    if candidate == NOBODY or epoch > EPOCH_MAX:
        return down, b"", 0
    leader, leader_epoch = vote(core, primary, epoch, candidate)
    return down, leader, leader_epoch


def elected_leader(core: SentinelCore, primary: Instance, epoch: int) -> bytes:
    """Count the votes of an epoch, one's own (given now, if it was not) included; empty: nobody has enough."""
    counts: dict[bytes, int] = {}
    for sentinel in primary.sentinels.values():
        if sentinel.leader and sentinel.leader_epoch == epoch:
            counts[sentinel.leader] = counts.get(sentinel.leader, 0) + 1
    favourite = max(counts, key=lambda leader: counts[leader]) if counts else core.state.my_id
    mine, mine_epoch = vote(core, primary, epoch, favourite)
    if mine and mine_epoch == epoch:
        counts[mine] = counts.get(mine, 0) + 1
    voters = len(primary.sentinels) + 1
    needed = max(voters // 2 + 1, primary.quorum)
    for leader, count in counts.items():
        if count >= needed:
            return leader
    return b""


# -- SENTINEL CKQUORUM --------------------------------------------------------------------------------------


def usable_sentinels(primary: Instance) -> int:
    return 1 + sum(
        1 for each in primary.sentinels.values() if not each.flags & (SUBJECTIVELY_DOWN | OBJECTIVELY_DOWN)
    )
