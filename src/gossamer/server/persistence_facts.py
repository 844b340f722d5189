"""What INFO tells of snapshots, of the append only file and of loading.

Owns the names of these fields and what is counted for them; changes nothing.
"""

from typing import TYPE_CHECKING, final

from gossamer.engine.doors import InfoSource
from gossamer.persistence.aof_loading import AofLoading
from gossamer.persistence.aof_rewrite import OFF
from gossamer.persistence.loading import SnapshotLoading

if TYPE_CHECKING:
    from gossamer.server.persistence import Persistence


@final
class PersistenceFacts(InfoSource):
    """The fields of one server."""

    def __init__(self, persistence: "Persistence") -> None:
        self.persistence = persistence

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        persistence = self.persistence
        snapshots = persistence.snapshots
        now_s = int(persistence.engine.now_us // 1_000_000)
        is_saving = snapshots.in_background() or persistence.transfer_runs
        facts[b"rdb_bgsave_in_progress"] = 1 if is_saving else 0
        facts[b"rdb_last_save_time"] = int(snapshots.last_save_s)
        facts[b"rdb_last_bgsave_status"] = b"ok" if snapshots.last_background_ok else b"err"
        facts[b"rdb_last_bgsave_time_sec"] = int(snapshots.last_background_took_s)
        since = int(snapshots.background_since_s)
        facts[b"rdb_current_bgsave_time_sec"] = now_s - since if since >= 0 else -1
        facts[b"rdb_last_cow_size"] = int(snapshots.last_copied_bytes)
        facts[b"rdb_saves"] = int(snapshots.saves)
        facts[b"rdb_last_load_keys_expired"] = int(snapshots.keys_expired_at_load)
        facts[b"rdb_last_load_keys_loaded"] = int(snapshots.keys_loaded)
        self.add_aof_facts(facts, now_s)
        if persistence.loading is not None:
            facts[b"loading"] = 1
            add_loading_facts(facts, persistence.loading, persistence)

    def add_aof_facts(self, facts: dict[bytes, bytes | int], now_s: int) -> None:
        rewrites = self.persistence.rewrites
        aof = rewrites.aof
        since = int(rewrites.since_s)
        facts[b"aof_enabled"] = 1 if rewrites.state != OFF else 0
        # Whoever waits for its end finds the files and the list that it leaves: what is superfluous is gone.
        unfinished = rewrites.in_progress() or len(rewrites.removing) > 0
        facts[b"aof_rewrite_in_progress"] = 1 if unfinished else 0
        facts[b"aof_rewrite_scheduled"] = 1 if rewrites.scheduled else 0
        facts[b"aof_last_rewrite_time_sec"] = int(rewrites.last_took_s)
        facts[b"aof_current_rewrite_time_sec"] = now_s - since if since >= 0 else -1
        facts[b"aof_last_bgrewrite_status"] = b"ok" if rewrites.last_ok else b"err"
        facts[b"aof_rewrites"] = int(rewrites.rewrites)
        facts[b"aof_rewrites_consecutive_failures"] = int(rewrites.failures)
        facts[b"aof_last_write_status"] = b"err" if aof.trouble() else b"ok"
        facts[b"aof_last_cow_size"] = int(rewrites.last_copied_bytes)
        facts[b"mem_aof_buffer"] = int(aof.buffered_bytes())
        if rewrites.state != OFF:
            facts[b"aof_current_size"] = int(rewrites.current_bytes())
            facts[b"aof_base_size"] = int(rewrites.size_after_rewrite)
            facts[b"aof_pending_rewrite"] = 1 if rewrites.scheduled else 0
            facts[b"aof_buffer_length"] = int(aof.buffered_bytes())
            facts[b"aof_pending_bio_fsync"] = 1 if aof.sync_is_pending() else 0
            facts[b"aof_delayed_fsync"] = int(aof.delayed_syncs)


def add_loading_facts(
    facts: dict[bytes, bytes | int], loading: SnapshotLoading | AofLoading, persistence: "Persistence"
) -> None:
    """How far a load is: that of the start, or that of a replica's new data set (of an unknown size, perhaps)."""
    total, loaded = int(loading.total_bytes), int(loading.loaded_bytes())
    since_us = int(persistence.loading_since_us)
    elapsed_s = (int(persistence.engine.now_us) - since_us) / 1_000_000
    left = max(0, total - loaded)
    facts[b"loading_start_time"] = since_us // 1_000_000
    facts[b"loading_total_bytes"] = total
    facts[b"loading_loaded_bytes"] = loaded
    facts[b"loading_loaded_perc"] = f"{100 * loaded / max(1, total):.2f}".encode()
    facts[b"loading_eta_seconds"] = int(elapsed_s * left / loaded) if loaded else 1
