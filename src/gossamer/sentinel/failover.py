"""A failover, from the decision to try one to the new address.

    WAIT_START -> SELECT_SLAVE -> SEND_SLAVEOF_NOONE -> WAIT_PROMOTION -> RECONF_SLAVES -> UPDATE_CONFIG
     elected?      which one?       the order             INFO (roles.py)   the others        the switch

Owns when one starts, which replica is chosen, and every end of it. Must not know how votes are counted.

Invariants: the epoch of a failover is durable before any vote is asked for it; before the promotion is known a
failover can be given up without a trace, after it the configuration is ahead and the failover is brought to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gossamer.sentinel import hello
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_NOTICE, LOG_WARNING
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    FAILOVER_NONE,
    FAILOVER_RECONF_SLAVES,
    FAILOVER_SELECT_SLAVE,
    FAILOVER_SEND_SLAVEOF_NOONE,
    FAILOVER_UPDATE_CONFIG,
    FAILOVER_WAIT_PROMOTION,
    FAILOVER_WAIT_START,
    FORCE_FAILOVER,
    MAX_DESYNC_MS,
    OBJECTIVELY_DOWN,
    PROMOTED,
    RECONF_DONE,
    RECONF_IN_PROGRESS,
    RECONF_SENT,
    REQUEST_INFO,
    SUBJECTIVELY_DOWN,
    Instance,
)
from gossamer.sentinel.links import mapped, send
from gossamer.sentinel.resetting import change_address
from gossamer.sentinel.roles import CRASH_TEXT, order_replication
from gossamer.sentinel.voting import elected_leader

SANE_PING_PERIODS: Final = 5
SANE_INFO_PERIODS: Final = 3
NEWS_WAIT_MS: Final = 300  # for more about the replicas than is known
FIRST_NEWS_WAIT_MS: Final = 2000  # for anything that makes one of them eligible
LINK_DOWN_FACTOR: Final = 10  # a replica may have been without its primary for so many down-after periods

# -- the beginning ------------------------------------------------------------------------------------------


def start_if_needed(core: SentinelCore, primary: Instance) -> bool:
    """Begin a failover of a primary that is down, unless one was tried a moment ago; whether it began."""
    if not primary.flags & OBJECTIVELY_DOWN or primary.flags & FAILOVER_IN_PROGRESS:
        return False
    pause_ms = primary.failover_timeout_ms * 2
    if core.now_ms - primary.failover_start_ms < pause_ms:
        if primary.failover_delay_logged_ms != primary.failover_start_ms:
            primary.failover_delay_logged_ms = primary.failover_start_ms
            when = core.door.time_text(primary.failover_start_ms + pause_ms)
            core.door.log(LOG_WARNING, b"Next failover delay: I will not start a failover before " + when)
        return False
    return start(core, primary)


def start(core: SentinelCore, primary: Instance, forced: bool = False) -> bool:
    """Take a new epoch and go for the votes; False where the epoch cannot be made durable."""
    state = core.state
    if not core.may_save():
        return False
    state.current_epoch += 1
    if not core.save():
        state.current_epoch -= 1
        return False
    primary.failover_state = FAILOVER_WAIT_START
    primary.flags |= FAILOVER_IN_PROGRESS | (FORCE_FAILOVER if forced else 0)
    primary.failover_epoch = state.current_epoch
    core.announce(LOG_WARNING, b"+new-epoch", b"%d" % state.current_epoch, primary)
    core.event(LOG_WARNING, b"+try-failover", primary)
    primary.failover_start_ms = core.now_ms + core.door.random_below(MAX_DESYNC_MS)
    primary.failover_state_changed_ms = core.now_ms
    return True


def abort(core: SentinelCore, primary: Instance) -> None:
    primary.flags &= ~(FAILOVER_IN_PROGRESS | FORCE_FAILOVER)
    primary.failover_state = FAILOVER_NONE
    primary.failover_state_changed_ms = core.now_ms
    if primary.promoted_replica is not None:
        primary.promoted_replica.flags &= ~PROMOTED
        primary.promoted_replica = None


def enter(core: SentinelCore, primary: Instance, state: int) -> None:
    primary.failover_state = state
    primary.failover_state_changed_ms = core.now_ms


def timed_out(core: SentinelCore, primary: Instance) -> bool:
    return core.now_ms - primary.failover_state_changed_ms > primary.failover_timeout_ms


# -- the choice ---------------------------------------------------------------------------------------------


def is_eligible(core: SentinelCore, primary: Instance, replica: Instance) -> bool:
    """Whether a replica is alive, known well enough, and not too far behind to be promoted."""
    now, timings = core.now_ms, core.state.timings
    primary_is_down = bool(primary.flags & SUBJECTIVELY_DOWN)
    if replica.flags & (SUBJECTIVELY_DOWN | OBJECTIVELY_DOWN) or replica.link.disconnected:
        return False
    if now - replica.link.last_available_ms > timings.ping_period * SANE_PING_PERIODS:
        return False
    if replica.replica_priority == 0:
        return False
    # it is asked every second while its primary is down
    known_for = (
        timings.ping_period * SANE_PING_PERIODS
        if primary_is_down
        else timings.info_period * SANE_INFO_PERIODS
    )
    if replica.info_refreshed_ms == 0 or now - replica.info_refreshed_ms > known_for:
        return False
    longest = primary.down_after_ms * LINK_DOWN_FACTOR
    if primary_is_down:
        longest += now - primary.subjectively_down_since_ms
    return replica.primary_link_down_ms <= longest


def preference(replica: Instance) -> tuple[int, int, bool, bytes]:
    """Smallest first: priority, then the most data, then the run id, one that is not known last."""
    return (
        replica.replica_priority,
        -replica.replica_offset,
        not replica.run_id,
        replica.run_id.lower(),
    )


def select_replica(core: SentinelCore, primary: Instance) -> Instance | None:
    eligible = [each for each in primary.replicas.values() if is_eligible(core, primary, each)]
    return min(eligible, key=preference) if eligible else None


# -- the states ---------------------------------------------------------------------------------------------


def wait_start(core: SentinelCore, primary: Instance) -> None:
    leads = elected_leader(core, primary, primary.failover_epoch) == core.state.my_id
    if not leads and not primary.flags & FORCE_FAILOVER:
        limit_ms = min(core.state.timings.election_timeout, primary.failover_timeout_ms)
        if core.now_ms - primary.failover_start_ms > limit_ms:
            core.event(LOG_WARNING, b"-failover-abort-not-elected", primary)
            abort(core, primary)
        return
    core.event(LOG_WARNING, b"+elected-leader", primary)
    if core.state.crash_after_election:
        core.door.exit(CRASH_TEXT)
        return
    enter(core, primary, FAILOVER_SELECT_SLAVE)
    core.event(LOG_WARNING, b"+failover-state-select-slave", primary)
    for replica in primary.replicas.values():
        send(core, replica, [mapped(replica, b"INFO")], REQUEST_INFO)


def awaits_news(core: SentinelCore, primary: Instance, limit_ms: int) -> bool:
    """Whether a replica has not told yet how it is now: what is known of it may be ten seconds old.

    By that the wrong one would be chosen, or none, for the answer to the questions that have just been sent.
    """
    entered_ms = primary.failover_state_changed_ms
    if not 0 <= core.now_ms - entered_ms < limit_ms:
        return False
    return any(
        each.info_refreshed_ms < entered_ms
        and not each.link.disconnected
        and not each.flags & SUBJECTIVELY_DOWN
        for each in primary.replicas.values()
    )


def select_slave(core: SentinelCore, primary: Instance) -> None:
    replica = select_replica(core, primary)
    if awaits_news(core, primary, NEWS_WAIT_MS if replica is not None else FIRST_NEWS_WAIT_MS):
        return
    if replica is None:
        core.event(LOG_WARNING, b"-failover-abort-no-good-slave", primary)
        abort(core, primary)
        return
    core.event(LOG_WARNING, b"+selected-slave", replica)
    replica.flags |= PROMOTED
    primary.promoted_replica = replica
    enter(core, primary, FAILOVER_SEND_SLAVEOF_NOONE)
    core.event(LOG_NOTICE, b"+failover-state-send-slaveof-noone", replica)


def send_slaveof_noone(core: SentinelCore, primary: Instance) -> None:
    replica = primary.promoted_replica
    assert replica is not None
    if replica.link.disconnected:
        if timed_out(core, primary):
            core.event(LOG_WARNING, b"-failover-abort-slave-timeout", primary)
            abort(core, primary)
        return
    if order_replication(core, replica, None):
        core.event(LOG_NOTICE, b"+failover-state-wait-promotion", replica)
        enter(core, primary, FAILOVER_WAIT_PROMOTION)
        send(core, replica, [mapped(replica, b"INFO")], REQUEST_INFO)  # the answer comes behind the order's


def wait_promotion(core: SentinelCore, primary: Instance) -> None:
    if timed_out(core, primary):
        core.event(LOG_WARNING, b"-failover-abort-slave-timeout", primary)
        abort(core, primary)


def reconf_slaves(core: SentinelCore, primary: Instance) -> None:
    """Turn the other replicas to the promoted one, `parallel-syncs` at a time."""
    promoted = primary.promoted_replica
    assert promoted is not None
    timeout_ms = core.state.timings.slave_reconf_timeout
    under_way = sum(
        1 for each in primary.replicas.values() if each.flags & (RECONF_SENT | RECONF_IN_PROGRESS)
    )
    for replica in primary.replicas.values():
        if under_way >= primary.parallel_syncs:
            break
        if replica.flags & (PROMOTED | RECONF_DONE):
            continue
        if replica.flags & RECONF_SENT and core.now_ms - replica.replica_reconf_sent_ms > timeout_ms:
            core.event(LOG_NOTICE, b"-slave-reconf-sent-timeout", replica)
            replica.flags = replica.flags & ~RECONF_SENT | RECONF_DONE
            continue
        if replica.flags & (RECONF_SENT | RECONF_IN_PROGRESS) or replica.link.disconnected:
            continue
        if order_replication(core, replica, promoted.address):
            replica.flags |= RECONF_SENT
            replica.replica_reconf_sent_ms = core.now_ms
            core.event(LOG_NOTICE, b"+slave-reconf-sent", replica)
            under_way += 1
    detect_end(core, primary)


def detect_end(core: SentinelCore, primary: Instance) -> None:
    """The others follow, or it has taken too long.

    A promoted replica that goes down now is waited for, but no longer than that: only who watches its address can
    agree with others that it is down. (redis-sentinel waits for ever, and its vote is missing.)
    """
    promoted = primary.promoted_replica
    is_late = timed_out(core, primary)
    if promoted is None or (promoted.flags & SUBJECTIVELY_DOWN and not is_late):
        return
    finished = PROMOTED | RECONF_DONE | SUBJECTIVELY_DOWN
    if not is_late and any(not each.flags & finished for each in primary.replicas.values()):
        return
    if is_late:
        core.event(LOG_WARNING, b"+failover-end-for-timeout", primary)
    core.event(LOG_WARNING, b"+failover-end", primary)
    enter(core, primary, FAILOVER_UPDATE_CONFIG)
    if not is_late:
        return
    for replica in primary.replicas.values():  # as many as can be told, now or never
        if replica.flags & (PROMOTED | RECONF_DONE | RECONF_SENT) or replica.link.disconnected:
            continue
        if order_replication(core, replica, promoted.address):
            core.event(LOG_NOTICE, b"+slave-reconf-sent-be", replica)
            replica.flags |= RECONF_SENT


def switch_to_promoted(core: SentinelCore, primary: Instance) -> None:
    """The end: the promoted replica is what is watched from now on."""
    address = (primary.promoted_replica or primary).address
    hello.announce_switch(core, primary, primary.address, address)
    change_address(core, primary, address)


STEPS: Final[dict[int, Callable[[SentinelCore, Instance], None]]] = {
    FAILOVER_WAIT_START: wait_start,
    FAILOVER_SELECT_SLAVE: select_slave,
    FAILOVER_SEND_SLAVEOF_NOONE: send_slaveof_noone,
    FAILOVER_WAIT_PROMOTION: wait_promotion,
    FAILOVER_RECONF_SLAVES: reconf_slaves,
}


def advance(core: SentinelCore, primary: Instance) -> None:
    """A step of a failover that is under way, and those behind it that wait for nothing."""
    while primary.flags & FAILOVER_IN_PROGRESS:
        step = STEPS.get(primary.failover_state)
        if step is None:
            return
        before = primary.failover_state
        step(core, primary)
        if primary.failover_state not in (FAILOVER_SELECT_SLAVE, FAILOVER_SEND_SLAVEOF_NOONE):
            return
        if primary.failover_state == before:
            return  # it waits for what replicas tell, or to reach one
