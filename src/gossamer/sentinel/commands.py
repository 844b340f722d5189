"""What clients and other Sentinels say to a Sentinel: SENTINEL, PUBLISH of hello messages, ROLE.

Owns the replies and their order. Settings (SET, CONFIG, DEBUG) stand in settings.py. A handler gets the machine, the
whole command and the writer; `now_ms` is the machine's. Must not know which client asks.

    SUBCOMMANDS[b"ckquorum"] = Subcommand(handler, arity)     arity as COMMAND tells it: SENTINEL CKQUORUM m is 3
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gossamer.base.glob import match
from gossamer.base.numbers import is_int64, parse_int64, to_int64
from gossamer.resp.errors import NOT_INTEGER, wrong_arity
from gossamer.resp.writer import ReplyWriter
from gossamer.sentinel import failover, hello, settings, voting
from gossamer.sentinel.core import SAVE_FAILED, SentinelCore
from gossamer.sentinel.doors import LOG_WARNING
from gossamer.sentinel.instances import (
    BAD_QUORUM,
    FAILOVER_IN_PROGRESS,
    HELLO_CHANNEL,
    Instance,
    InstanceError,
    add_primary,
    current_address,
)
from gossamer.sentinel.links import release
from gossamer.sentinel.replies import HELP, fields_of, named_primary, save_and_reply
from gossamer.sentinel.resetting import reset_primary

Handler = Callable[[SentinelCore, list[bytes], ReplyWriter], None]

FEW_FOR_QUORUM: Final = b"Not enough available Sentinels to reach the specified quorum for this master"
FEW_FOR_MAJORITY: Final = b"Not enough available Sentinels to reach the majority and authorize a failover"
ONLY_HELLO: Final = b"ERR Only HELLO messages are accepted by Sentinel instances."


class Subcommand:
    """One subcommand of SENTINEL; arity counts SENTINEL and its own name, negative: at least so many."""

    def __init__(self, handler: Handler, arity: int) -> None:
        self.handler: Handler = handler
        self.arity: int = arity


def sentinel(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL <subcommand> ..."""
    name = argv[1].lower()
    found = SUBCOMMANDS.get(name)
    if found is None:
        reply.error(b"ERR unknown subcommand '%s'. Try SENTINEL HELP." % argv[1][:128])
    elif len(argv) != found.arity and not (found.arity < 0 and len(argv) >= -found.arity):
        reply.error(wrong_arity(b"sentinel|" + name))
    else:
        found.handler(core, argv, reply)


# -- what is known --------------------------------------------------------------------------------------------


def put_instances(core: SentinelCore, instances: list[Instance], reply: ReplyWriter) -> None:
    reply.array(len(instances))
    for instance in instances:
        put_instance(core, instance, reply)


def put_instance(core: SentinelCore, instance: Instance, reply: ReplyWriter) -> None:
    fields = fields_of(core, instance)
    reply.map(len(fields))
    for name, value in fields:
        reply.bulk(name)
        reply.bulk(value)


def masters(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL MASTERS"""
    put_instances(core, list(core.state.primaries.values()), reply)


def master(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL MASTER name"""
    primary = named_primary(core, argv[2], reply)
    if primary is not None:
        put_instance(core, primary, reply)


def replicas(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL REPLICAS name: those that want to be known (replica-announced)."""
    primary = named_primary(core, argv[2], reply)
    if primary is not None:
        put_instances(core, [each for each in primary.replicas.values() if each.replica_announced], reply)


def sentinels(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL SENTINELS name: the others."""
    primary = named_primary(core, argv[2], reply)
    if primary is not None:
        put_instances(core, list(primary.sentinels.values()), reply)


def get_master_addr_by_name(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL GET-MASTER-ADDR-BY-NAME name"""
    primary = core.state.primaries.get(argv[2])
    if primary is None:
        reply.null_array()
        return
    address = current_address(primary)
    reply.bulk_array([core.state.announced(address), b"%d" % address.port])


def is_master_down_by_addr(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid: how another Sentinel asks, and asks for a vote."""
    if not (is_int64(argv[3]) and is_int64(argv[4])):
        reply.error(NOT_INTEGER)
        return
    down, leader, epoch = voting.answer(
        core, argv[2], int(to_int64(argv[3])), int(to_int64(argv[4])), argv[5]
    )
    reply.array(3)
    reply.integer(1 if down else 0)
    reply.bulk(leader or voting.NOBODY)
    reply.integer(epoch)


def ckquorum(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL CKQUORUM name"""
    primary = named_primary(core, argv[2], reply)
    if primary is None:
        return
    usable = voting.usable_sentinels(primary)
    problems = []
    if usable < primary.quorum:
        problems.append(FEW_FOR_QUORUM)
    if usable < (len(primary.sentinels) + 1) // 2 + 1:
        problems.append(FEW_FOR_MAJORITY)
    if problems:
        reply.error(b"NOQUORUM %d usable Sentinels. " % usable + b". ".join(problems))
    else:
        reply.simple(b"OK %d usable Sentinels. Quorum and failover authorization can be reached" % usable)


def info_cache(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL INFO-CACHE [name ...]: the last INFO of each primary and its replicas, with its age in ms."""
    wanted = [each for each in core.state.primaries.values() if each.name in argv[2:]]
    reply.array(2 * len(wanted))
    for primary in wanted:
        reply.bulk(primary.name)
        members = [primary, *primary.replicas.values()]
        reply.array(len(members))
        for each in members:
            reply.array(2)
            reply.integer(core.now_ms - each.info_refreshed_ms if each.info_refreshed_ms else 0)
            reply.bulk_or_null(each.info or None)


def pending_scripts(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL PENDING-SCRIPTS"""
    jobs = core.door.pending_scripts()
    reply.array(len(jobs))
    for job in jobs:
        fields = 5 if job.running or job.not_before_ms else 4
        reply.map(fields)
        reply.bulk(b"argv")
        reply.bulk_array(job.argv)
        reply.bulk(b"flags")
        reply.bulk(b"running" if job.running else b"scheduled")
        reply.bulk(b"pid")
        reply.bulk_integer(job.pid)
        if job.running:
            reply.bulk(b"run-time")
            reply.bulk_integer(core.now_ms - job.started_ms)
        elif job.not_before_ms:
            reply.bulk(b"run-delay")
            reply.bulk_integer(max(job.not_before_ms - core.now_ms, 0))
        reply.bulk(b"retry-num")
        reply.bulk_integer(job.attempts)


def myid(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL MYID"""
    reply.bulk(core.state.my_id)


# -- what is done ---------------------------------------------------------------------------------------------


def monitor(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL MONITOR name ip port quorum"""
    state = core.state
    if not parse_int64(argv[5])[0]:
        reply.error(b"ERR Invalid quorum")
        return
    if not parse_int64(argv[4])[0]:
        reply.error(b"ERR Invalid port")
        return
    if to_int64(argv[5]) <= 0:
        reply.error(b"ERR " + BAD_QUORUM)
        return
    if core.door.resolve(argv[3], state.resolve_hostnames) is None:
        reply.error(b"ERR Invalid IP address or hostname specified")
        return
    try:
        primary = add_primary(
            state, core.door, argv[2], argv[3], int(to_int64(argv[4])), int(to_int64(argv[5])), core.now_ms
        )
    except InstanceError as refusal:
        reply.error(b"ERR " + refusal.reason)
        return
    # It may have been watched before, and votes given for it: none is given again in an epoch that has begun.
    primary.leader_epoch = state.current_epoch
    saved = core.save()
    core.event(LOG_WARNING, b"+monitor", primary, b" quorum %d" % primary.quorum)
    if saved:
        reply.ok()
    else:
        reply.error(SAVE_FAILED)


def remove(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL REMOVE name"""
    primary = named_primary(core, argv[2], reply)
    if primary is None:
        return
    core.event(LOG_WARNING, b"-monitor", primary)
    del core.state.primaries[primary.name]
    release(core, primary)
    save_and_reply(core, reply)


def reset(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL RESET pattern: forget everything that was learned."""
    found = [each for each in core.state.primaries.values() if match(argv[2], each.name, True)]
    for primary in found:
        reset_primary(core, primary, True, True)
    if found:
        core.save()
    reply.integer(len(found))


def failover_now(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL FAILOVER name: without asking the others."""
    primary = named_primary(core, argv[2], reply)
    if primary is None:
        return
    if primary.flags & FAILOVER_IN_PROGRESS:
        reply.error(b"INPROG Failover already in progress")
    elif failover.select_replica(core, primary) is None:
        reply.error(b"NOGOODSLAVE No suitable replica to promote")
    else:
        core.door.log(LOG_WARNING, b"Executing user requested FAILOVER of '%s'" % primary.name)
        if failover.start(core, primary, True):
            reply.ok()
        else:
            reply.error(SAVE_FAILED)


def flushconfig(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL FLUSHCONFIG"""
    save_and_reply(core, reply)


def simulate_failure(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL SIMULATE-FAILURE [crash-after-election] [crash-after-promotion]"""
    state = core.state
    state.crash_after_election = False
    state.crash_after_promotion = False
    for word in argv[2:]:
        what = word.lower()
        if what == b"crash-after-election":
            state.crash_after_election = True
            after = b"being successfully elected as failover leader"
        elif what == b"crash-after-promotion":
            state.crash_after_promotion = True
            after = b"promoting the selected replica to master"
        elif what == b"help":
            reply.bulk_array([b"crash-after-election", b"crash-after-promotion"])
            return
        else:
            reply.error(b"ERR Unknown failure simulation specified")
            return
        core.door.log(LOG_WARNING, b"Failure simulation: this Sentinel will crash after " + after)
    reply.ok()


def help_lines(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL HELP"""
    reply.simple_array(HELP)


# -- outside SENTINEL -----------------------------------------------------------------------------------------


def publish(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """PUBLISH channel message: other Sentinels say hello so."""
    if argv[1] != HELLO_CHANNEL:
        reply.error(ONLY_HELLO)
        return
    hello.receive(core, argv[2])
    reply.integer(1)


def role(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """ROLE"""
    reply.array(2)
    reply.bulk(b"sentinel")
    reply.bulk_array(list(core.state.primaries))


SUBCOMMANDS: Final[dict[bytes, Subcommand]] = {
    b"ckquorum": Subcommand(ckquorum, 3),
    b"config": Subcommand(settings.config, -3),
    b"debug": Subcommand(settings.debug, -2),
    b"failover": Subcommand(failover_now, 3),
    b"flushconfig": Subcommand(flushconfig, 2),
    b"get-master-addr-by-name": Subcommand(get_master_addr_by_name, 3),
    b"help": Subcommand(help_lines, 2),
    b"info-cache": Subcommand(info_cache, -3),
    b"is-master-down-by-addr": Subcommand(is_master_down_by_addr, 6),
    b"master": Subcommand(master, 3),
    b"masters": Subcommand(masters, 2),
    b"monitor": Subcommand(monitor, 6),
    b"myid": Subcommand(myid, 2),
    b"pending-scripts": Subcommand(pending_scripts, 2),
    b"remove": Subcommand(remove, 3),
    b"replicas": Subcommand(replicas, 3),
    b"reset": Subcommand(reset, 3),
    b"sentinels": Subcommand(sentinels, 3),
    b"set": Subcommand(settings.set_options, -5),
    b"simulate-failure": Subcommand(simulate_failure, -3),
    b"slaves": Subcommand(replicas, 3),
}
