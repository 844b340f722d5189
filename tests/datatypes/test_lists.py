"""Lists: operations against a plain Python list, thresholds of the forms, nodes as real servers make them."""

import random
from collections.abc import Iterator

import pytest

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.lists import PACKED_MAX_BYTES, List
from gossamer.resp.writer import ReplyWriter
from support.servers import ServerAbsent, ServerProcess, start_peer
from support.wire import WireClient

FILLS = [-1, -2, -5, 0, 1, 3, 10, 128]
PEERS = {70: "redis:7.0", 80: "valkey:8.0"}
LARGE_SIZES = [4000, 4089, 4096, 4097, 8184, 8190, 8192, 8193, 9000, 20000]


def limits_of(compat: int, fill: int) -> Limits:
    limits = Limits()
    limits.compat = compat
    limits.list_max_listpack_size = fill
    return limits


def random_element(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.4:
        return b"%d" % rng.choice([1, 2, 3, -5, 1000, 100000, 2**40])
    if kind < 0.8:
        return b"e%d" % rng.randrange(30)
    sizes = [50, 100, 200, 1000, 2000] if kind < 0.97 else LARGE_SIZES
    return bytes([97 + rng.randrange(26)]) * rng.choice(sizes)


def removed_from(model: list[bytes], element: bytes, limit: int) -> list[bytes]:
    left = abs(limit) or len(model)
    kept = []
    for item in model if limit >= 0 else reversed(model):
        if item == element and left > 0:
            left -= 1
        else:
            kept.append(item)
    return kept if limit >= 0 else kept[::-1]


class Walk:
    """A random walk over one list and its model; `argv` of each step is what a server is told."""

    def __init__(self, rng: random.Random, limits: Limits) -> None:
        self.rng = rng
        self.limits = limits
        self.value = List.create(limits)
        self.model: list[bytes] = []
        self.growing = 0.5

    def step(self) -> list[bytes]:
        rng = self.rng
        if rng.random() < 0.02:
            self.growing = rng.choice([0.2, 0.4, 0.6])
        if not self.model or rng.random() < self.growing:
            return self.push()
        argv: list[bytes] = rng.choice(
            [self.pop, self.pop, self.set, self.insert, self.insert, self.remove, self.trim]
        )()
        if not self.model:
            self.value = List.create(self.limits)
        return argv

    def push(self) -> list[bytes]:
        elements = [random_element(self.rng) for _ in range(self.rng.choice([1, 1, 1, 2, 5, 40]))]
        front = self.rng.random() < 0.5
        argv = [b"LPUSH" if front else b"RPUSH", b"k", *elements]
        self.value.push(argv, 2, front)
        self.model = elements[::-1] + self.model if front else self.model + elements
        return argv

    def pop(self) -> list[bytes]:
        front = self.rng.random() < 0.5
        count = min(len(self.model), self.rng.choice([1, 1, 2, 10, 40]))
        popped = [self.value.pop(front) for _ in range(count)]
        assert popped == (self.model[:count] if front else self.model[::-1][:count])
        self.model = self.model[count:] if front else self.model[: len(self.model) - count]
        if self.model:
            self.value.shrink()
        return [b"LPOP" if front else b"RPOP", b"k", b"%d" % count]

    def set(self) -> list[bytes]:
        index = self.rng.randrange(len(self.model))
        element = random_element(self.rng)
        self.value.prepare_growth(len(element), 1)
        self.value.set(index, element)
        self.model[index] = element
        return [b"LSET", b"k", b"%d" % index, element]

    def insert(self) -> list[bytes]:
        pivot = self.rng.choice([*self.model, b"absent"])
        element = random_element(self.rng)
        after = self.rng.random() < 0.5
        assert self.value.insert(pivot, element, after) == (pivot in self.model)
        if pivot in self.model:
            self.model.insert(self.model.index(pivot) + after, element)
        return [b"LINSERT", b"k", b"AFTER" if after else b"BEFORE", pivot, element]

    def remove(self) -> list[bytes]:
        element = self.rng.choice(self.model)
        limit = self.rng.choice([0, 1, -1, 2, -2])
        kept = removed_from(self.model, element, limit)
        assert self.value.remove(element, limit) == len(self.model) - len(kept)
        self.model = kept
        if kept:
            self.value.shrink()
        return [b"LREM", b"k", b"%d" % limit, element]

    def trim(self) -> list[bytes]:
        start, cut = (self.rng.randrange(min(len(self.model), 60)) for _ in range(2))
        if start + cut >= len(self.model):
            start = cut = 0
        stop = len(self.model) - 1 - cut
        self.value.delete_range(stop + 1, cut)
        self.value.delete_range(0, start)
        self.value.shrink()
        self.model = self.model[start : stop + 1]
        return [b"LTRIM", b"k", b"%d" % start, b"%d" % stop]

    def check_reads(self) -> None:
        value, model, rng = self.value, self.model, self.rng
        assert value.elements() == model
        assert value.length() == len(model)
        if not model:
            return
        index = rng.randrange(len(model))
        assert value.get(index) == model[index]
        count = rng.randrange(len(model) - index + 1)
        reply = ReplyWriter()
        value.write_range(reply, index, count)
        expected = b"".join(b"$%d\r\n%s\r\n" % (len(item), item) for item in model[index : index + count])
        assert reply.out.getvalue() == expected
        if rng.random() < 0.8:
            return  # what follows seals the open ends, which are to be met open too
        element = rng.choice(model)
        matches = [i for i, item in enumerate(model) if item == element]
        assert value.positions(element, 1, 0, 0) == matches
        assert value.positions(element, -1, 2, 0) == matches[::-1][:2]
        assert value.positions(element, 2, 1, 0) == matches[1:2]
        assert value.positions(element, 1, 0, index + 1) == [i for i in matches if i <= index]

    def check_invariants(self) -> None:
        quick = self.value.quick
        if quick is None:
            listpack.validate(self.value.lp)
            assert not self.value.grown
            return
        nodes = quick.nodes[quick.first :]
        assert sum(node.count for node in nodes) == quick.length
        assert sum(node.size for node in nodes) == quick.nodes_bytes
        for position, node in enumerate(nodes):
            open_elements = quick.front if position == 0 else []
            open_elements = open_elements + (quick.back if position == len(nodes) - 1 else [])
            assert node.count > 0
            if node.raw:
                assert (node.count, node.size, open_elements) == (1, len(node.data), [])
            else:
                assert listpack.count(node.data) + len(open_elements) == node.count
                size = len(node.data) + sum(listpack.encoded_size(element) for element in open_elements)
                assert size == node.size


@pytest.mark.parametrize("compat", [70, 72, 80])
@pytest.mark.parametrize("fill", FILLS)
def test_a_list_holds_what_a_python_list_would(compat: int, fill: int) -> None:
    for seed in range(3):
        walk = Walk(random.Random(1000 * compat + 10 * fill + seed), limits_of(compat, fill))
        for _ in range(200):
            walk.step()
            walk.check_invariants()
            walk.check_reads()


@pytest.mark.parametrize("compat", [70, 80])
@pytest.mark.parametrize("threshold", [1, 5, 100])
def test_a_list_of_elements_with_nodes_of_their_own_holds_the_same(compat: int, threshold: int) -> None:
    limits = limits_of(compat, -2)
    walk = Walk(random.Random(compat + threshold), limits)
    for number in range(300):
        limits.list_packed_threshold_bytes = threshold if number % 100 < 70 else 0
        walk.step()
        walk.check_invariants()
        walk.check_reads()


@pytest.mark.parametrize("compat", [70, 72, 80])
def test_a_copy_and_a_reloaded_list_are_equal_and_independent(compat: int) -> None:
    walk = Walk(random.Random(compat), limits_of(compat, -1))
    for _ in range(300):
        walk.step()
        if not walk.model:
            continue
        copy = walk.value.copy()
        loaded = List.from_nodes(copy.node_containers(), copy.node_data(), walk.limits)
        rebuilt = List.from_elements(walk.model, walk.limits)
        for other in (copy, loaded, rebuilt):
            assert other.elements() == walk.model
            other.pop(True)
        assert walk.value.elements() == walk.model


def pushed(limits: Limits, elements: list[bytes]) -> List:
    value = List.create(limits)
    for element in elements:
        value.push([element], 0, False)
    return value


def test_redis_7_0_reports_every_list_as_a_quicklist() -> None:
    assert pushed(limits_of(70, -2), [b"a"]).encoding() == b"quicklist"


@pytest.mark.parametrize("compat", [72, 80])
def test_a_list_becomes_a_quicklist_at_the_limit_and_a_listpack_again_at_half_of_it(compat: int) -> None:
    limits = limits_of(compat, 8)
    value = pushed(limits, [b"x"] * 8)
    assert value.encoding() == b"listpack"
    value.push([b"x"], 0, False)
    assert value.encoding() == b"quicklist"
    expected = {8: b"quicklist", 7: b"quicklist", 5: b"quicklist", 4: b"listpack", 3: b"listpack"}
    while value.length() > 3:
        value.pop(False)
        value.shrink()
        if value.length() in expected:
            assert value.encoding() == expected[value.length()], value.length()


@pytest.mark.parametrize("compat", [72, 80])
def test_one_element_beyond_the_limit_makes_a_quicklist(compat: int) -> None:
    value = pushed(limits_of(compat, -2), [b"a", b"z" * 8192])
    assert value.encoding() == b"quicklist"
    assert pushed(limits_of(compat, -2), [b"a", b"z" * 8000]).encoding() == b"listpack"


def test_a_loaded_list_of_few_large_elements_is_a_listpack_where_the_limit_is_a_count() -> None:
    node = listpack.encode([b"z" * 8192])
    assert List.from_nodes([2], [node], limits_of(80, 3)).encoding() == b"listpack"
    assert List.from_nodes([2], [node], limits_of(80, -2)).encoding() == b"quicklist"


def test_small_lists_stay_packed_and_large_ones_do_not() -> None:
    value = pushed(limits_of(72, -2), [b"element"] * 20)
    assert value.packed() == listpack.encode([b"element"] * 20)
    while value.packed() is not None:
        value.push([b"element"], 0, False)
    assert PACKED_MAX_BYTES - 20 < value.length() * 9 <= PACKED_MAX_BYTES + 20
    while value.length() > 5:
        value.pop(True)
    value.shrink()
    assert value.packed() == listpack.encode([b"element"] * 5)


def test_memory_follows_the_content() -> None:
    value = List.create(limits_of(72, -2))
    before = value.memory_bytes()
    for i in range(20000):
        value.push([b"value:%06d" % i], 0, i % 2 == 0)
    assert 20000 * 14 < value.memory_bytes() - before < 20000 * 20
    for i in range(20000):
        value.pop(i % 3 == 0)
        if value.length():
            value.shrink()
    assert value.memory_bytes() <= before


@pytest.fixture(scope="module", params=sorted(PEERS))
def peer(request: pytest.FixtureRequest) -> Iterator[tuple[int, ServerProcess]]:
    try:
        server = start_peer(PEERS[request.param], "--rdbcompression", "no")
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with server:
        yield request.param, server


def dumped_nodes(client: WireClient) -> tuple[list[int], list[bytes]]:
    """Containers and contents of the nodes in DUMP k."""
    payload = client.call("DUMP", "k").plain()
    assert payload[0] == 18
    position = 1

    def length() -> int:
        nonlocal position
        first = payload[position]
        extra = {0: 0, 1: 1}.get(first >> 6, 4)
        text = payload[position + 1 : position + 1 + extra]
        position += 1 + extra
        return first if extra == 0 else int.from_bytes(text, "big") + ((first & 63) << 8 if extra == 1 else 0)

    containers, nodes = [], []
    for _ in range(length()):
        containers.append(length())
        if payload[position] >= 0xC0:  # an element that is a small number
            size = 1 << (payload[position] & 3)
            number = int.from_bytes(payload[position + 1 : position + 1 + size], "little", signed=True)
            nodes.append(b"%d" % number)
            position += 1 + size
            continue
        size = length()
        nodes.append(payload[position : position + size])
        position += size
    return containers, nodes


@pytest.mark.peers
@pytest.mark.parametrize("fill", FILLS)
def test_nodes_and_encoding_are_those_of_a_real_server(peer: tuple[int, ServerProcess], fill: int) -> None:
    compat, server = peer
    with server.client() as client:
        client.call("FLUSHALL")
        client.call("CONFIG", "SET", "list-max-listpack-size", str(fill))
        walk = Walk(random.Random(fill), limits_of(compat, fill))
        for _ in range(400):
            argv = walk.step()
            assert not client.call(*argv).is_error
            if not walk.model:
                continue
            assert client.call("OBJECT", "ENCODING", "k").plain() == walk.value.encoding(), argv[:3]
            if walk.rng.random() < 0.8:
                continue  # asking for the nodes seals the open ends, which are to be met open too
            copy = walk.value.copy()
            assert (copy.node_containers(), copy.node_data()) == dumped_nodes(client), argv[:3]


@pytest.mark.peers
@pytest.mark.parametrize("threshold", [1, 5, 100])
def test_nodes_under_a_threshold_are_those_of_a_real_server(
    peer: tuple[int, ServerProcess], threshold: int
) -> None:
    compat, server = peer
    if compat < 80:
        return  # Redis 7.0 has nodes of its own for single elements of small lists too: the elements are the same
    limits = limits_of(compat, -2)
    with server.client() as client:
        client.call("FLUSHALL")
        client.call("CONFIG", "SET", "list-max-listpack-size", "-2")
        client.call("DEBUG", "QUICKLIST-PACKED-THRESHOLD", f"{threshold}b")
        limits.list_packed_threshold_bytes = threshold
        walk = Walk(random.Random(threshold), limits)
        for _ in range(400):
            argv = walk.step()
            assert not client.call(*argv).is_error
            if walk.model and walk.rng.random() < 0.2:
                copy = walk.value.copy()
                assert (copy.node_containers(), copy.node_data()) == dumped_nodes(client), argv[:3]
        client.call("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "0")
