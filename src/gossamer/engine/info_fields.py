"""The fields of INFO: names, order, defaults, versions. Whoever knows better overrides a default by name.

One line per field: `name default [since [until]]`, where since and until are versions (70, 72, 80). A default of
`-` means that the field is shown only when somebody states it.
"""

from typing import Final

SECTIONS: Final = {
    b"server": """
        redis_version -
        server_name - 80
        valkey_version - 80
        gossamer_version -
        gossamer_compiled -
        redis_git_sha1 00000000
        redis_git_dirty 0
        redis_build_id -
        redis_mode standalone 70 72
        server_mode standalone 80
        os -
        arch_bits 64
        monotonic_clock -
        multiplexing_api -
        atomicvar_api none 70 72
        gcc_version 0.0.0
        process_id -
        process_supervised no
        run_id -
        tcp_port -
        server_time_usec -
        uptime_in_seconds -
        uptime_in_days -
        hz -
        configured_hz -
        lru_clock -
        executable -
        config_file -
        io_threads_active 0
        availability_zone - 80
        shutdown_in_milliseconds -
        listener0 - 72
        listener1 - 72
        listener2 - 72""",
    b"clients": """
        connected_clients -
        cluster_connections 0
        maxclients -
        client_recent_max_input_buffer 0
        client_recent_max_output_buffer 0
        blocked_clients -
        tracking_clients 0
        pubsub_clients - 80
        watching_clients - 80
        clients_in_timeout_table -
        total_watched_keys - 80
        total_blocking_keys - 72
        total_blocking_keys_on_nokey 0 72""",
    b"memory": """
        used_memory -
        used_memory_human -
        used_memory_rss -
        used_memory_rss_human -
        used_memory_peak -
        used_memory_peak_human -
        used_memory_peak_perc -
        used_memory_overhead -
        used_memory_startup -
        used_memory_dataset -
        used_memory_dataset_perc -
        allocator_allocated -
        allocator_active -
        allocator_resident -
        allocator_muzzy 0 80
        total_system_memory -
        total_system_memory_human -
        used_memory_lua 0
        used_memory_vm_eval 0
        used_memory_lua_human 0B
        used_memory_scripts_eval 0
        number_of_cached_scripts 0
        number_of_functions 0
        number_of_libraries 0
        used_memory_vm_functions 0
        used_memory_vm_total 0
        used_memory_vm_total_human 0B
        used_memory_functions 0
        used_memory_scripts 0
        used_memory_scripts_human 0B
        maxmemory -
        maxmemory_human -
        maxmemory_policy -
        allocator_frag_ratio 1.00
        allocator_frag_bytes 0
        allocator_rss_ratio 1.00
        allocator_rss_bytes 0
        rss_overhead_ratio 1.00
        rss_overhead_bytes 0
        mem_fragmentation_ratio -
        mem_fragmentation_bytes -
        mem_not_counted_for_evict 0
        mem_replication_backlog 0
        mem_total_replication_buffers 0
        mem_clients_slaves 0
        mem_clients_normal -
        mem_cluster_links 0
        mem_aof_buffer 0
        mem_allocator -
        mem_overhead_db_hashtable_rehashing 0 80
        active_defrag_running 0
        lazyfree_pending_objects -
        lazyfreed_objects -""",
    b"persistence": """
        loading 0
        async_loading 0
        current_cow_peak 0
        current_cow_size 0
        current_cow_size_age 0
        current_fork_perc 0.00
        current_save_keys_processed 0
        current_save_keys_total 0
        rdb_changes_since_last_save -
        rdb_bgsave_in_progress 0
        rdb_last_save_time -
        rdb_last_bgsave_status ok
        rdb_last_bgsave_time_sec -1
        rdb_current_bgsave_time_sec -1
        rdb_saves 0
        rdb_last_cow_size 0
        rdb_last_load_keys_expired 0
        rdb_last_load_keys_loaded 0
        aof_enabled 0
        aof_rewrite_in_progress 0
        aof_rewrite_scheduled 0
        aof_last_rewrite_time_sec -1
        aof_current_rewrite_time_sec -1
        aof_last_bgrewrite_status ok
        aof_rewrites 0
        aof_rewrites_consecutive_failures 0
        aof_last_write_status ok
        aof_last_cow_size 0
        module_fork_in_progress 0
        module_fork_last_cow_size 0
        aof_current_size -
        aof_base_size -
        aof_pending_rewrite -
        aof_buffer_length -
        aof_pending_bio_fsync -
        aof_delayed_fsync -
        loading_start_time -
        loading_total_bytes -
        loading_rdb_used_mem -
        loading_loaded_bytes -
        loading_loaded_perc -
        loading_eta_seconds -""",
    b"stats": """
        total_connections_received -
        total_commands_processed -
        instantaneous_ops_per_sec -
        total_net_input_bytes -
        total_net_output_bytes -
        total_net_repl_input_bytes 0
        total_net_repl_output_bytes 0
        instantaneous_input_kbps -
        instantaneous_output_kbps -
        instantaneous_input_repl_kbps 0.00
        instantaneous_output_repl_kbps 0.00
        rejected_connections -
        sync_full 0
        sync_partial_ok 0
        sync_partial_err 0
        expired_keys -
        expired_subkeys - 70 72
        expired_fields - 80
        expired_stale_perc -
        expired_time_cap_reached_count -
        expire_cycle_cpu_milliseconds 0
        evicted_keys -
        evicted_clients 0
        evicted_scripts 0 80
        total_eviction_exceeded_time 0
        current_eviction_exceeded_time 0
        keyspace_hits -
        keyspace_misses -
        pubsub_channels -
        pubsub_patterns -
        pubsubshard_channels -
        latest_fork_usec 0
        total_forks 0
        migrate_cached_sockets 0
        slave_expires_tracked_keys 0
        active_defrag_hits 0
        active_defrag_misses 0
        active_defrag_key_hits 0
        active_defrag_key_misses 0
        total_active_defrag_time 0
        current_active_defrag_time 0
        tracking_total_keys 0
        tracking_total_items 0
        tracking_total_prefixes 0
        unexpected_error_replies 0
        total_error_replies -
        dump_payload_sanitizations -
        total_reads_processed -
        total_writes_processed -
        io_threaded_reads_processed 0
        io_threaded_writes_processed 0
        io_threaded_freed_objects 0 80
        io_threaded_poll_processed 0 80
        io_threaded_total_prefetch_batches 0 80
        io_threaded_total_prefetch_entries 0 80
        client_query_buffer_limit_disconnections - 72
        client_output_buffer_limit_disconnections - 72
        reply_buffer_shrinks 0
        reply_buffer_expands 0
        eventloop_cycles - 72
        eventloop_duration_sum 0 72
        eventloop_duration_cmd_sum 0 72
        instantaneous_eventloop_cycles_per_sec 0 72
        instantaneous_eventloop_duration_usec 0 72
        acl_access_denied_auth 0 72
        acl_access_denied_cmd 0 72
        acl_access_denied_key 0 72
        acl_access_denied_channel 0 72""",
    b"replication": """
        role master
        master_host -
        master_port -
        master_link_status -
        master_last_io_seconds_ago -
        master_sync_in_progress -
        slave_read_repl_offset -
        slave_repl_offset -
        master_sync_total_bytes -
        master_sync_read_bytes -
        master_sync_left_bytes -
        master_sync_perc -
        master_sync_last_io_seconds_ago -
        master_link_down_since_seconds -
        slave_priority -
        slave_read_only -
        replica_announced -
        connected_slaves 0
        min_slaves_good_slaves -
        slave* -
        replicas_waiting_psync 0 80
        master_failover_state no-failover
        master_replid -
        master_replid2 0000000000000000000000000000000000000000
        master_repl_offset 0
        second_repl_offset -1
        repl_backlog_active 0
        repl_backlog_size -
        repl_backlog_first_byte_offset 0
        repl_backlog_histlen 0""",
    b"cpu": """
        used_cpu_sys -
        used_cpu_user -
        used_cpu_sys_children -
        used_cpu_user_children -
        used_cpu_sys_main_thread -
        used_cpu_user_main_thread -""",
    b"modules": "",
    b"commandstats": "",
    b"errorstats": "",
    b"latencystats": "",
    b"cluster": """
        cluster_enabled 0""",
    b"keyspace": "",
}

# What INFO shows when nothing, or `default`, is asked for; `all` adds commandstats and latencystats.
DEFAULT: Final = (
    b"server", b"clients", b"memory", b"persistence", b"stats", b"replication", b"cpu", b"modules", b"errorstats",
    b"cluster", b"keyspace",
)  # fmt: skip
NOT_IN_ALL: Final = (b"modules",)


class Field:
    """One line of the table above."""

    def __init__(self, name: bytes, default: bytes | None, since: int, until: int) -> None:
        self.name = name
        self.default = default
        self.since = since
        self.until = until


def fields_of(section: bytes, compat: int) -> list[Field]:
    """The fields of a section in the version `compat`, in order."""
    fields: list[Field] = []
    for line in SECTIONS[section].strip().splitlines():
        words = line.split()
        since = int(words[2]) if len(words) > 2 else 70
        until = int(words[3]) if len(words) > 3 else 99
        if since <= compat <= until:
            default = None if words[1] == "-" else words[1].encode()
            fields.append(Field(words[0].encode(), default, since, until))
    return fields
