"""What clients of simulated servers do: scenes of every command group, and WAIT with what it promises.

Owns the clients and what they were promised. Which server they turn to is `replication_run.py`'s.

Rule:
  wait   where WAIT answers n, so many other servers have held what the client wrote
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from gossamer.engine.client import Client
from support.random_load import Scene, draw_scenes
from support.replication_world import Node, World

SCENES = 300
POOL_NUMBER = 1  # all worlds choose from the same scenes, so that a seed can be replayed alone
SCENE_MAX_BYTES = 2000  # larger ones take time and say nothing more
STEP_MS = 12


@functools.cache
def scenes() -> list[Scene]:
    """Of all groups; drawn once per process."""
    drawn = draw_scenes(POOL_NUMBER, SCENES)
    return [scene for scene in drawn if scene.steps and size_of(scene) <= SCENE_MAX_BYTES]


def size_of(scene: Scene) -> int:
    return sum(len(word) for step in scene.steps for word in step.argv)


class Player:
    """The clients of one scene at one server."""

    def __init__(self, world: World, node: Node, scene: Scene, database: int) -> None:
        self.world = world
        self.node = node
        self.life = node.lives
        self.steps = list(scene.steps)
        self.clients: list[Client] = [node.engine.new_client() for _ in range(scene.clients)]
        for client in self.clients:
            node.engine.execute(client, [b"SELECT", b"%d" % database])
        world.count("scenes")
        self.go_on()

    def go_on(self) -> None:
        """A few steps; who waits for something skips his."""
        node = self.node
        if not node.alive or node.lives != self.life:
            return
        node.engine.begin_iteration()
        for _ in range(self.world.random.randint(1, 6)):
            if not self.steps:
                break
            step = self.steps.pop(0)
            client = self.clients[step.client]
            if step.argv and not client.closed and client.blocked_command is None:
                node.engine.execute(client, list(step.argv))
                self.world.count("commands")
        for client in self.clients:
            client.reply.out.truncate(0)
        if self.steps:
            self.world.later(self.world.random.randint(0, STEP_MS), self.go_on)
        else:
            self.world.later(self.world.random.randint(0, 500), self.leave)

    def leave(self) -> None:
        node = self.node
        if node.alive and node.lives == self.life:
            for client in self.clients:
                node.engine.free_client(client)


class Promise:
    """A client that has written, and waits for replicas."""

    def __init__(self, node: Node, client: Client) -> None:
        self.node = node
        self.life = node.lives
        self.client = client
        self.offset = node.place()[1]
        self.ids = {node.place()[0]}  # of the primary's history since: it goes on under each of them


class Waits:
    """All promises that are still open, and how far every server has ever been."""

    def __init__(self, world: World, violate: Callable[[str, str], None]) -> None:
        self.world = world
        self.violate = violate
        self.open: list[Promise] = []
        self.reached: dict[tuple[int, bytes], int] = {}

    def note(self, node: Node) -> None:
        """It holds everything up to where it stands."""
        replication_id, offset = node.place()
        where = (node.number, replication_id)
        self.reached[where] = max(self.reached.get(where, -1), offset)

    def begin(self, node: Node) -> None:
        """Write, and wait for one or two replicas."""
        engine = node.engine
        client = engine.new_client()
        engine.begin_iteration()
        engine.execute(client, [b"INCR", b"promised"])
        if client.blocked_command is not None or node.primary.stream.backlog is None:
            engine.free_client(client)
            return
        client.reply.out.truncate(0)
        promise = Promise(node, client)
        engine.execute(client, [b"WAIT", b"%d" % self.world.random.randint(1, 2), b"800"])
        self.open.append(promise)

    def check(self) -> None:
        """The answers that have come."""
        for promise in list(self.open):
            node = promise.node
            client = promise.client
            if not node.alive or node.lives != promise.life:
                self.open.remove(promise)
                continue
            promise.ids.add(node.place()[0])
            answer = client.reply.out.getvalue()
            if not answer and not client.closed:
                continue
            self.open.remove(promise)
            node.engine.free_client(client)
            if answer.startswith(b":"):
                self.judge(promise, int(answer[1:]))

    def judge(self, promise: Promise, count: int) -> None:
        holders = 0
        for node in self.world.nodes:
            reached = max(self.reached.get((node.number, each), -1) for each in promise.ids)
            if node is not promise.node and reached >= promise.offset:
                holders += 1
        if holders < count:
            what = f"WAIT of node {promise.node.number} answered {count}, and {holders} hold {promise.offset}"
            self.violate("wait", what)
        self.world.count("acknowledged writes", 1 if count else 0)
