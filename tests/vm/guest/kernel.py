"""What the agent has to say of a container, told from the kernel's own files: read by plain means,
and put into words by this table alone, which was written from the kernel's documentation
(Documentation/admin-guide/cgroup-v2.rst) and docs/metrics.md, not from the agent's source.
"""

import pathlib
import re

ROOT = pathlib.Path("/sys/fs/cgroup")
MICROSECONDS = 1_000_000

# file -> {key in it: family}; the key of a file with a single value is None.
COUNTERS = {
    "memory.events": {
        "low": "container_memory_events_low_total",
        "high": "container_memory_events_high_total",
        "max": ("container_memory_events_max_total", "container_memory_failcnt"),
        "oom": "container_memory_events_oom_total",
        "oom_kill": ("container_memory_events_oom_kill_total", "container_oom_events_total"),
        "oom_group_kill": "container_memory_events_oom_group_kill_total",
    },
    "memory.swap.events": {
        "high": "container_memory_swap_events_high_total",
        "max": "container_memory_swap_events_max_total",
        "fail": "container_memory_swap_events_fail_total",
    },
    "memory.stat": {
        "pgscan": "container_memory_pgscan_total",
        "pgsteal": "container_memory_pgsteal_total",
        "workingset_refault_anon": "container_memory_workingset_refault_anon_total",
        "workingset_refault_file": "container_memory_workingset_refault_file_total",
    },
    "pids.events": {"max": "container_pids_limit_hits_total"},
}
GAUGES = {
    "memory.current": {None: "container_memory_usage_bytes"},
    "memory.peak": {None: "container_memory_max_usage_bytes"},
    "memory.swap.current": {None: "container_memory_swap"},
    "memory.swap.peak": {None: "container_memory_swap_max_usage_bytes"},
    "memory.stat": {
        "file": "container_memory_cache",
        "anon": "container_memory_rss",
        "kernel": "container_memory_kernel_usage",
        "file_mapped": "container_memory_mapped_file",
        "active_file": "container_memory_total_active_file_bytes",
        "inactive_file": "container_memory_total_inactive_file_bytes",
        "file_dirty": "container_memory_file_dirty_bytes",
        "file_writeback": "container_memory_file_writeback_bytes",
        "kernel_stack": "container_memory_kernel_stack_bytes",
        "pagetables": "container_memory_page_tables_bytes",
        "sock": "container_memory_sock_bytes",
        "shmem": "container_memory_shmem_bytes",
        "slab": "container_memory_slab_bytes",
        "slab_reclaimable": "container_memory_slab_reclaimable_bytes",
        "zswap": "container_memory_zswap_bytes",
        "zswapped": "container_memory_zswapped_bytes",
    },
    "pids.current": {None: "container_threads"},
    "cgroup.stat": {
        "nr_descendants": "container_cgroup_descendants",
        "nr_dying_descendants": "container_cgroup_dying_descendants",
    },
    "cgroup.events": {
        "populated": "container_cgroup_populated",
        "frozen": "container_cgroup_frozen",
    },
}
# "max" stands for no limit, which cAdvisor shows as 0.
LIMITS = {
    "memory.max": "container_spec_memory_limit_bytes",
    "memory.swap.max": "container_spec_memory_swap_limit_bytes",
    "memory.low": "container_spec_memory_reservation_limit_bytes",
    "memory.min": "container_spec_memory_min_bytes",
    "memory.high": "container_spec_memory_high_bytes",
    "pids.max": "container_threads_max",
}
CPU = {
    "usage_usec": "container_cpu_usage_seconds_total",
    "user_usec": "container_cpu_user_seconds_total",
    "system_usec": "container_cpu_system_seconds_total",
}
QUOTA = {
    "nr_periods": ("container_cpu_cfs_periods_total", 1),
    "nr_throttled": ("container_cpu_cfs_throttled_periods_total", 1),
    "throttled_usec": ("container_cpu_cfs_throttled_seconds_total", MICROSECONDS),
    "nr_bursts": ("container_cpu_cfs_burst_periods_total", 1),
    "burst_usec": ("container_cpu_cfs_burst_seconds_total", MICROSECONDS),
}
DISK = {
    "rbytes": "container_fs_reads_bytes_total",
    "rios": "container_fs_reads_total",
    "wbytes": "container_fs_writes_bytes_total",
    "wios": "container_fs_writes_total",
    "dbytes": "container_fs_discards_bytes_total",
    "dios": "container_fs_discards_total",
}


def cgroup(container):
    """Where Docker's systemd driver keeps the container."""
    return ROOT / f"system.slice/docker-{container}.scope"


def flat(path):
    """{key: number} of a flat-keyed file; {None: number or "max"} of one with a single value."""
    words = [line.split() for line in path.read_text().splitlines()]
    if len(words) == 1 and len(words[0]) == 1:
        return {None: words[0][0] if words[0][0] == "max" else int(words[0][0])}
    return {key: int(value) for key, value in words}


def add(found, family, value, **labels):
    for name in family if isinstance(family, tuple) else (family,):
        found[name, frozenset(labels.items())] = value


def read_cpu(folder, found):
    stat = flat(folder / "cpu.stat")
    for key, family in CPU.items():
        labels = {"cpu": "total"} if key == "usage_usec" else {}
        add(found, family, stat[key] / MICROSECONDS, **labels)
    quota, period = (folder / "cpu.max").read_text().split()
    add(found, "container_spec_cpu_period", int(period))
    if quota != "max":
        add(found, "container_spec_cpu_quota", int(quota))
        for key, (family, scale) in QUOTA.items():
            add(found, family, stat[key] / scale)


def read_pressure(folder, found):
    for resource in ("cpu", "memory", "io"):
        text = (folder / f"{resource}.pressure").read_text()
        for word, kind in (("some", "waiting"), ("full", "stalled")):
            total = re.search(rf"^{word} .*total=(\d+)$", text, re.M)
            add(found, f"container_pressure_{resource}_{kind}_seconds_total",
                int(total[1]) / MICROSECONDS)


def device_name(number):
    uevent = pathlib.Path(f"/sys/dev/block/{number}/uevent").read_text()
    return "/dev/" + re.search(r"^DEVNAME=(.*)$", uevent, re.M)[1]


def read_disks(folder, found):
    for line in (folder / "io.stat").read_text().splitlines():
        number, *pairs = line.split()
        values = {key: int(value) for key, value in (pair.split("=") for pair in pairs)}
        if not values:
            continue  # a device that the cgroup has never used
        device = device_name(number)
        for key, family in DISK.items():
            add(found, family, values[key], device=device)
        major, minor = number.split(":")
        for key, operation in (("rbytes", "Read"), ("wbytes", "Write")):
            add(found, "container_blkio_device_usage_total", values[key], device=device,
                major=major, minor=minor, operation=operation)


def read_huge_pages(folder, found):
    """hugetlb.<size>.…, by Documentation/admin-guide/cgroup-v2.rst; reserved pages count as used."""
    for path in folder.glob("hugetlb.*.events"):
        size = path.name.split(".")[1]
        reserved = folder / f"hugetlb.{size}.rsvd.current"
        used = reserved if reserved.exists() else folder / f"hugetlb.{size}.current"
        add(found, "container_hugetlb_usage_bytes", flat(used)[None], pagesize=size)
        add(found, "container_hugetlb_failcnt", flat(path)["max"], pagesize=size)


def descriptors(container):
    """How many descriptors the container's processes have open."""
    pids = (cgroup(container) / "cgroup.procs").read_text().split()
    return sum(len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def read(container):
    """{(family, labels beyond the container's own): value} of everything that has a file."""
    folder = cgroup(container)
    found = {}
    for table in (COUNTERS, GAUGES):
        for name, families in table.items():
            path = folder / name
            values = flat(path) if path.exists() else {}
            for key, family in families.items():
                if key in values:
                    add(found, family, values[key])
    for name, family in LIMITS.items():
        value = flat(folder / name)[None]
        add(found, family, 0 if value == "max" else value)
    stat = flat(folder / "memory.stat")
    add(found, "container_memory_working_set_bytes",
        max(0, flat(folder / "memory.current")[None] - stat["inactive_file"]))
    for scope in ("container", "hierarchy"):
        for kind in ("pgfault", "pgmajfault"):
            add(found, "container_memory_failures_total", stat[kind], failure_type=kind,
                scope=scope)
    read_cpu(folder, found)
    read_pressure(folder, found)
    read_disks(folder, found)
    read_huge_pages(folder, found)
    return found


def network(pid):
    """{interface: {family: value}} of the process's network namespace, the loopback apart."""
    columns = {
        0: "receive_bytes", 1: "receive_packets", 2: "receive_errors", 3: "receive_packets_dropped",
        8: "transmit_bytes", 9: "transmit_packets", 10: "transmit_errors",
        11: "transmit_packets_dropped",
    }
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        name, values = line.split(":")
        if name.strip() != "lo":
            numbers = values.split()
            found[name.strip()] = {f"container_network_{word}_total": int(numbers[column])
                                   for column, word in columns.items()}
    return found
