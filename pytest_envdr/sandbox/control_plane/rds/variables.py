"""What a server can be told by a parameter group: its variables, and which of them only a start can set."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass

from pytest_envdr.sandbox.data_plane.mariadb import program

HELP_SECONDS = 30.0
_STATIC = """
aria_block_size aria_pagecache_buffer_size aria_pagecache_file_hash_size back_log binlog_optimize_thread_scheduling
encrypt_binlog encrypt_tmp_files ft_max_word_len ft_min_word_len ft_query_expansion_limit ft_stopword_file
ignore_db_dirs innodb_adaptive_hash_index_parts innodb_autoinc_lock_mode innodb_buffer_pool_chunk_size
innodb_buffer_pool_load_at_startup innodb_buffer_pool_size_max innodb_encrypt_log innodb_encrypt_temporary_tables
innodb_fatal_semaphore_wait_threshold innodb_ft_max_token_size innodb_ft_min_token_size innodb_ft_sort_pll_degree
innodb_log_buffer_size innodb_log_write_ahead_size innodb_open_files innodb_read_only innodb_rollback_on_timeout
innodb_sort_buffer_size innodb_temp_data_file_path innodb_use_atomic_writes large_pages log_slave_updates
lower_case_table_names max_digest_length metadata_locks_cache_size metadata_locks_hash_instances myisam_mmap_size
myisam_recover_options open_files_limit performance_schema plugin_maturity relay_log_space_limit
replicate_annotate_row_events secure_timestamp skip_name_resolve skip_show_database slave_skip_errors
slave_transaction_retry_errors table_open_cache_instances thread_handling thread_stack tls_version
"""
STATIC = frozenset(_STATIC.split())
"""READ_ONLY in information_schema.SYSTEM_VARIABLES (MariaDB 10.11), but for those that are not the customer's."""
_NOT_THE_CUSTOMERS = """
allow_suspicious_udfs aria_log_dir_path basedir bind_address bootstrap character_sets_dir chroot core_file datadir
extra_port gdb help init_file innodb_buffer_pool_filename innodb_data_file_path innodb_data_home_dir
innodb_doublewrite innodb_flush_method innodb_force_recovery innodb_linux_aio innodb_log_file_mmap
innodb_log_group_home_dir innodb_numa_interleave innodb_page_size innodb_undo_directory innodb_undo_tablespaces
innodb_use_native_aio language lc_messages_dir log_bin log_bin_index log_error log_tc log_tc_size
lower_case_file_system pid_file plugin_dir plugin_load plugin_load_add port relay_log relay_log_index
relay_log_info_file report_host report_password report_port report_user secure_file_priv server_id skip_grant_tables
skip_networking slave_load_tmpdir socket stack_trace tc_heuristic_recover tmpdir user verbose version
"""
NOT_THE_CUSTOMERS = frozenset(_NOT_THE_CUSTOMERS.split())
"""The operator's own: RDS shows them, and lets nobody set them."""
DEFAULTS = {"event_scheduler": "OFF"}
"""What RDS's default parameter groups have where the sandbox's servers are started otherwise."""


@dataclass(frozen=True)
class Variable:
    """One parameter of the engine.

    Attributes:
        name: as parameter groups have it, with underscores.
        default: its value where nobody sets it; None where it has none.
    """

    name: str
    default: str | None

    @property
    def is_static(self) -> bool:
        """Whether it takes a reboot."""
        return self.name in STATIC or self.name in NOT_THE_CUSTOMERS

    @property
    def is_modifiable(self) -> bool:
        return self.name not in NOT_THE_CUSTOMERS

    @property
    def data_type(self) -> str:
        """What DescribeDBParameters says of its values."""
        if self.default in {"TRUE", "FALSE", "ON", "OFF"}:
            return "boolean"
        return "integer" if self.default and self.default.lstrip("-").isdigit() else "string"


@functools.cache
def known() -> dict[str, Variable]:
    """All that the installed server takes, by name, in alphabetical order. Takes a twentieth of a second, once."""
    answer = subprocess.run(
        [program("mariadbd"), "--no-defaults", "--verbose", "--help"],
        capture_output=True,
        text=True,
        timeout=HELP_SECONDS,
        check=True,
    )
    _, _, table = answer.stdout.partition("Value (after reading options)\n")
    rows = [line.split(maxsplit=1) for line in table.partition("\n\n")[0].splitlines()[1:]]
    found = {}
    for option, *rest in rows:
        name, value = option.replace("-", "_"), rest[0].strip() if rest else ""
        default = None if value in {"", "(No default value)"} else value
        found[name] = Variable(name, DEFAULTS.get(name, default))
    return dict(sorted(found.items()))
