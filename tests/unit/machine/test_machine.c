/*
 * The host by a procfs and a sysfs of plain files: two sockets, four cores with two threads each,
 * two nodes.
 */
#include "collectors/machine/machine.h"
#include "tests/unit/cgroup/tree_fixture.h"

#include <errno.h>
#include <unistd.h>

static char base[TEMP_DIR_MAX];
static char proc[FIXTURE_PATH], sys[FIXTURE_PATH];
static struct tly_machine machine;
static struct tly_samples samples;
static struct tly_group_choice groups;
static struct tly_sample_set *set;

static void cpu_make(int cpu, int package, int core)
{
    char path[64];
    char text[32];
    (void)snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/topology", cpu);
    fixture_folder(sys, path);
    (void)snprintf(text, sizeof(text), "%d\n", package);
    fixture_write(sys, path, "physical_package_id", text);
    (void)snprintf(text, sizeof(text), "%d\n", core);
    fixture_write(sys, path, "core_id", text);
}

static void cache_make(int cpu, int index, const char *level, const char *size, const char *shared)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/cache/index%d", cpu, index);
    fixture_folder(sys, path);
    fixture_write(sys, path, "level", level);
    fixture_write(sys, path, "type", "Unified\n");
    fixture_write(sys, path, "size", size);
    fixture_write(sys, path, "shared_cpu_list", shared);
}

static void node_make(const char *node, const char *cpus, const char *distance)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "devices/system/node/%s", node);
    fixture_folder(sys, path);
    fixture_write(sys, path, "cpulist", cpus);
    fixture_write(sys, path, "distance", distance);
    fixture_write(sys, path, "meminfo", "Node 0 MemTotal:  1024 kB\n");
    (void)snprintf(path, sizeof(path), "devices/system/node/%s/hugepages/hugepages-2048kB", node);
    fixture_folder(sys, path);
    fixture_write(sys, path, "nr_hugepages", "5\n");
}

static void module_make(const char *path, const char *type, const char *size)
{
    fixture_folder(sys, path);
    fixture_write(sys, path, "dimm_mem_type", type);
    fixture_write(sys, path, "size", size);
}

static int make_machine(void **state)
{
    (void)state;
    temp_dir_make(base);
    fixture_path(proc, base, "proc", "");
    fixture_path(sys, base, "sys", "");
    fixture_folder(base, "proc/pressure");
    fixture_folder(base, "etc");
    fixture_folder(sys, "devices/system/cpu");
    fixture_folder(sys, "devices/system/node");
    fixture_folder(sys, "block/sda");
    fixture_write(base, "etc", "machine-id", "m\n");
    fixture_write(proc, ".", "meminfo",
                  "MemTotal: 8 kB\nMemFree: 2 kB\nMemAvailable: 4 kB\nSwapTotal: 0 kB\n");
    fixture_write(sys, "devices/system/cpu", "online", "0-3\n");
    for (int cpu = 0; cpu < 4; cpu++) {
        cpu_make(cpu, cpu / 2, 0);
    }
    tly_group_choice_init(&groups);
    tly_samples_init(&samples);
    char etc[FIXTURE_PATH];
    fixture_path(etc, base, "etc", "");
    tly_machine_init(&machine, proc, sys, etc);
    return 0;
}

static int remove_machine(void **state)
{
    (void)state;
    tly_machine_done(&machine);
    tly_samples_done(&samples);
    tly_sample_set_unref(set);
    set = NULL;
    temp_dir_remove(base);
    return 0;
}

static void taken(int rc)
{
    assert_int_equal(rc, 0);
    tly_sample_set_unref(set);
    set = tly_samples_take(&samples);
    assert_non_null(set);
}

#define ABSENT INT64_MIN

static void expect(enum tly_family_id family, const char *labels, int64_t value)
{
    char all[256];
    (void)snprintf(all, sizeof(all), "machine_id=\"m\"%s%s", labels[0] == '\0' ? "" : ",", labels);
    int64_t found = fixture_value(set, family, all);
    if (found != value) {
        fail_msg("%s{%s}: %lld", tly_families[family].name, all, (long long)found);
    }
}

static void processors(void **state)
{
    (void)state;
    taken(tly_machine_topology_write(&machine, &groups, &samples));
    expect(TLY_F_machine_cpu_cores, "", 4);
    expect(TLY_F_machine_cpu_physical_cores, "", 2);
    expect(TLY_F_machine_cpu_sockets, "", 2);
    expect(TLY_F_machine_cpu_books, "", ABSENT);
    expect(TLY_F_machine_thread_siblings_count, "node_id=\"0\",core_id=\"0\",thread_id=\"0\"",
           ABSENT); /* its group is off */
}

static void topology(void **state)
{
    (void)state;
    groups.on[TLY_G_cpu_topology] = true;
    fixture_write(sys, "devices/system/node", "online", "0-1\n");
    node_make("node0", "0-1\n", "10 20\n");
    node_make("node1", "2-3\n", "20 10\n");
    cache_make(0, 0, "1\n", "32K\n", "0-1\n");
    cache_make(1, 0, "1\n", "32K\n", "0-1\n"); /* the same one */
    cache_make(2, 0, "1\n", "rubbish\n", "2-3\n");
    cache_make(0, 1, "3\n", "1M\n", "0-3\n");
    taken(tly_machine_topology_write(&machine, &groups, &samples));
    expect(TLY_F_machine_thread_siblings_count, "node_id=\"1\",core_id=\"0\",thread_id=\"3\"", 2);
    expect(TLY_F_machine_cpu_cache_capacity_bytes,
           "node_id=\"0\",core_id=\"0\",type=\"Unified\",level=\"1\"", 32768);
    expect(TLY_F_machine_cpu_cache_capacity_bytes,
           "node_id=\"1\",core_id=\"0\",type=\"Unified\",level=\"1\"", ABSENT);
    expect(TLY_F_machine_cpu_cache_capacity_bytes,
           "node_id=\"0\",core_id=\"\",type=\"Unified\",level=\"3\"", 1048576);
    expect(TLY_F_machine_node_memory_capacity_bytes, "node_id=\"1\"", 1024 * 1024);
    expect(TLY_F_machine_node_hugepages_count, "node_id=\"0\",page_size=\"2048\"", 5);
    expect(TLY_F_machine_node_distance, "node_id=\"0\",target_node_id=\"1\"", 20);
}

static void memory_modules(void **state)
{
    (void)state;
    module_make("devices/system/edac/mc/mc0/dimm0", "Registered-DDR4\n", "16384\n");
    module_make("devices/system/edac/mc/mc1/dimm0", "Registered-DDR4\n", "16384\n");
    module_make("devices/system/edac/mc/mc1/dimm1", "Unknown\n", "0\n"); /* an empty place */
    taken(tly_machine_topology_write(&machine, &groups, &samples));
    expect(TLY_F_machine_dimm_count, "type=\"Registered-DDR4\"", 2);
    expect(TLY_F_machine_dimm_capacity_bytes, "type=\"Registered-DDR4\"", 32768LL * 1024 * 1024);
    expect(TLY_F_machine_dimm_count, "type=\"Unknown\"", ABSENT);
}

static void use(void **state)
{
    (void)state;
    groups.on[TLY_G_percpu] = true;
    fixture_write(
        proc, ".", "stat",
        "cpu  100 0 50 0\ncpu0 100 0 50 0\nintr 1 2\nbtime 1700000000\nprocs_running 3\n");
    fixture_write(proc, ".", "vmstat", "pswpin 4\noom_kill 2\n");
    fixture_write(proc, "pressure", "cpu", "some avg10=0.00 total=7\nfull avg10=0.00 total=0\n");
    fixture_write(proc, "pressure", "io", "some avg10=0.00 total=8\nfull avg10=0.00 total=9\n");
    fixture_write(proc, ".", "diskstats",
                  "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n");
    taken(tly_machine_use_write(&machine, &groups, &samples));
    int64_t tick_us = 1000000 / sysconf(_SC_CLK_TCK);
    expect(TLY_F_machine_cpu_seconds_total, "mode=\"user\"", 100 * tick_us);
    expect(TLY_F_machine_cpu_seconds_total, "mode=\"iowait\"", ABSENT);
    expect(TLY_F_machine_cpu_core_seconds_total, "cpu=\"0\",mode=\"system\"", 50 * tick_us);
    expect(TLY_F_machine_boot_time_seconds, "", 1700000000);
    expect(TLY_F_machine_processes_running, "", 3);
    expect(TLY_F_machine_processes_blocked, "", ABSENT);
    expect(TLY_F_machine_memory_bytes, "", 8192);
    expect(TLY_F_machine_memory_available_bytes, "", 4096);
    expect(TLY_F_machine_swap_bytes, "", 0);
    expect(TLY_F_machine_swap_free_bytes, "", ABSENT);
    expect(TLY_F_machine_swapped_in_pages_total, "", 4);
    expect(TLY_F_machine_swapped_out_pages_total, "", ABSENT);
    expect(TLY_F_machine_oom_kills_total, "", 2);
    expect(TLY_F_machine_pressure_cpu_waiting_seconds_total, "", 7);
    expect(TLY_F_machine_pressure_io_stalled_seconds_total, "", 9);
    expect(TLY_F_machine_pressure_memory_waiting_seconds_total, "", ABSENT);
    assert_int_equal(
        fixture_value(set, TLY_F_container_fs_write_seconds_total, "id=\"/\",device=\"/dev/sda\""),
        8);
    assert_int_equal(
        fixture_value(set, TLY_F_container_fs_write_seconds_total, "id=\"/\",device=\"/dev/sda1\""),
        ABSENT);
}

/* The kernel's own count of idle time and of waiting for I/O may go back by some ticks, and by
 * hours where a CPU went offline or came back: what is shown stands, and then goes on. */
static void cpu_time_never_goes_back(void **state)
{
    (void)state;
    static const struct {
        const char *idle, *iowait;
        int64_t idle_ticks, iowait_ticks;
    } rows[] = {
        {"900000", "100", 900000, 100}, {"900000", "99", 900000, 100},
        {"900100", "100", 900100, 100}, {"900100", "101", 900100, 101},
        {"500", "99", 900100, 101},     {"600", "103", 900200, 103},
        {"599", "104", 900200, 104},    {"900000", "104", 1799600, 104},
    };
    int64_t tick_us = 1000000 / sysconf(_SC_CLK_TCK);
    groups.on[TLY_G_percpu] = true;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "cpu  1 0 1 %s %s\ncpu0 1 0 1 50 0\ncpu7 1 0 1 %s %s\nintr 1 2\n",
                       rows[i].idle, rows[i].iowait, rows[i].idle, rows[i].iowait);
        fixture_write(proc, ".", "stat", text);
        taken(tly_machine_use_write(&machine, &groups, &samples));
        expect(TLY_F_machine_cpu_seconds_total, "mode=\"idle\"", rows[i].idle_ticks * tick_us);
        expect(TLY_F_machine_cpu_seconds_total, "mode=\"iowait\"", rows[i].iowait_ticks * tick_us);
        expect(TLY_F_machine_cpu_core_seconds_total, "cpu=\"7\",mode=\"idle\"",
               rows[i].idle_ticks * tick_us);
        expect(TLY_F_machine_cpu_core_seconds_total, "cpu=\"7\",mode=\"iowait\"",
               rows[i].iowait_ticks * tick_us);
        expect(TLY_F_machine_cpu_core_seconds_total, "cpu=\"0\",mode=\"idle\"", 50 * tick_us);
    }
}

static void groups_that_are_off(void **state)
{
    (void)state;
    groups.on[TLY_G_host] = false;
    taken(tly_machine_use_write(&machine, &groups, &samples));
    expect(TLY_F_machine_memory_bytes, "", 8192);
    expect(TLY_F_machine_memory_available_bytes, "", ABSENT);
}

static void nothing_to_read(void **state)
{
    (void)state;
    fixture_remove(proc, ".", "meminfo");
    fixture_write(sys, "devices/system/cpu", "online", "\n");
    assert_int_equal(tly_machine_use_write(&machine, &groups, &samples), -ENOENT);
    assert_int_equal(tly_machine_topology_write(&machine, &groups, &samples), -EIO);
    assert_int_equal(samples.count, 0);
}

int main(void)
{
#define WITH_MACHINE(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_machine)
    const struct CMUnitTest tests[] = {
        WITH_MACHINE(processors),
        WITH_MACHINE(topology),
        WITH_MACHINE(memory_modules),
        WITH_MACHINE(use),
        WITH_MACHINE(groups_that_are_off),
        WITH_MACHINE(nothing_to_read),
        WITH_MACHINE(cpu_time_never_goes_back),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
