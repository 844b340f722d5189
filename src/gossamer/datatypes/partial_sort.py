"""The first few of many in order: a quicksort that leaves alone what nobody asked for.

Knows numbers only. Which of several equal keys comes first is decided by the course of the algorithm (Bentley and
McIlroy, "Engineering a sort function", 1993, with parts outside the wanted range skipped), because the real servers
answer in the order that it leaves.
"""

from mypy_extensions import i64


def sort_first(keys: list[float], order: list[i64], count: i64) -> None:
    """Rearrange `order`, positions in `keys`, so that its first `count` entries have the smallest keys, ascending."""
    sort_part(keys, order, 0, len(order), count)


def sort_part(keys: list[float], order: list[i64], start: i64, stop: i64, count: i64) -> None:
    while True:
        size: i64 = stop - start
        if size < 7:
            insertion_sort(keys, order, start, stop)
            return
        swap(order, start, pivot(keys, order, start, size))
        # Equal ones gather at both ends: [start, equal_left) and (equal_right, stop).
        key = keys[order[start]]
        equal_left: i64 = start + 1
        left: i64 = start + 1
        right: i64 = stop - 1
        equal_right: i64 = stop - 1
        while True:
            while left <= right and keys[order[left]] <= key:
                if keys[order[left]] == key:
                    swap(order, equal_left, left)
                    equal_left += 1
                left += 1
            while left <= right and keys[order[right]] >= key:
                if keys[order[right]] == key:
                    swap(order, right, equal_right)
                    equal_right -= 1
                right -= 1
            if left > right:
                break
            swap(order, left, right)
            left += 1
            right -= 1
        swap_blocks(order, start, left, smaller(equal_left - start, left - equal_left))
        swap_blocks(order, left, stop, smaller(equal_right - right, stop - 1 - equal_right))
        less: i64 = left - equal_left
        more: i64 = equal_right - right
        if less > 1:
            sort_part(keys, order, start, start + less, count)
        if more <= 1 or stop - more >= count:
            return
        start = stop - more


def smaller(a: i64, b: i64) -> i64:
    return a if a < b else b


def swap(order: list[i64], a: i64, b: i64) -> None:
    kept = order[a]
    order[a] = order[b]
    order[b] = kept


def swap_blocks(order: list[i64], start: i64, stop: i64, size: i64) -> None:
    """Exchange `size` entries from `start` on with those that end before `stop`."""
    i: i64 = 0
    while i < size:
        swap(order, start + i, stop - size + i)
        i += 1


def insertion_sort(keys: list[float], order: list[i64], start: i64, stop: i64) -> None:
    at: i64 = start + 1
    while at < stop:
        down: i64 = at
        while down > start and keys[order[down - 1]] > keys[order[down]]:
            swap(order, down, down - 1)
            down -= 1
        at += 1


def pivot(keys: list[float], order: list[i64], start: i64, size: i64) -> i64:
    """Where the key to divide by stands: the middle, a median of three, or of nine."""
    middle: i64 = start + size // 2
    if size == 7:
        return middle
    low: i64 = start
    high: i64 = start + size - 1
    if size > 40:
        step: i64 = size // 8
        low = median(keys, order, low, low + step, low + 2 * step)
        middle = median(keys, order, middle - step, middle, middle + step)
        high = median(keys, order, high - 2 * step, high - step, high)
    return median(keys, order, low, middle, high)


def median(keys: list[float], order: list[i64], a: i64, b: i64, c: i64) -> i64:
    at_a = keys[order[a]]
    at_b = keys[order[b]]
    at_c = keys[order[c]]
    if at_a < at_b:
        if at_b < at_c:
            return b
        return c if at_a < at_c else a
    if at_b > at_c:
        return b
    return a if at_a < at_c else c
