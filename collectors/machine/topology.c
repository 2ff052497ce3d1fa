/*
 * What the host is made of: processors, caches, NUMA nodes and memory modules, by sysfs (the
 * kernel's ABI/stable/sysfs-devices-system-cpu and ABI/stable/sysfs-devices-node).
 */
#include "collectors/machine/machine.h"

#include "agent/codec/machine.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's own maximum for x86. */
#define CPUS_MAX 8192
/* 1 << CONFIG_NODES_SHIFT, of the largest. */
#define NODES_MAX  1024
#define CACHES_MAX 16 /* of one CPU; four are usual */

#define CPU_SYS  "devices/system/cpu"
#define NODE_SYS "devices/system/node"

/* One logical CPU; -1: sysfs does not tell. */
struct cpu {
    int64_t id, node, package, core, book, drawer;
};

struct cpus {
    struct cpu *at;
    size_t count;
};

static void add(const struct tly_machine *machine, struct tly_samples *samples,
                enum tly_family_id family, const struct tly_machine_label *labels, size_t count,
                int64_t value)
{
    uint16_t dim = tly_machine_dim(machine, samples, labels, count);
    if (dim != TLY_DIM_NONE || count == 0) {
        tly_samples_add(samples, family, dim, value);
    }
}

/* A number as a label; 20 bytes at most. */
struct digits {
    char at[24];
};

static struct digits digits(int64_t number)
{
    struct digits text;
    (void)snprintf(text.at, sizeof(text.at), "%" PRId64, number);
    return text;
}

/* ---- processors ---- */

/* The numbers of a list such as "0-3,8" into `to`; how many, at most `cap`. */
static size_t list_read(struct tly_text text, int64_t *to, size_t cap)
{
    size_t count = 0;
    uint32_t first = 0;
    uint32_t last = 0;
    while (tly_cpu_list_next(&text, &first, &last)) {
        for (uint64_t number = first; number <= last && count < cap; number++) {
            to[count++] = (int64_t)number;
        }
    }
    return count;
}

static int cpus_read(struct tly_machine *machine, struct cpus *ret_cpus)
{
    int64_t *ids = calloc(CPUS_MAX, sizeof(*ids));
    size_t count = ids == NULL
                       ? 0
                       : list_read(tly_machine_text(machine, machine->sys, CPU_SYS "/online"), ids,
                                   CPUS_MAX);
    struct cpu *cpus = count == 0 ? NULL : calloc(count, sizeof(*cpus));
    if (cpus == NULL) {
        int rc = ids != NULL && count == 0 ? tly_machine_failure(machine) : -ENOMEM;
        free(ids);
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        struct cpu *cpu = &cpus[i];
        static const struct {
            const char *name;
            size_t offset;
        } files[] = {
            {"physical_package_id", offsetof(struct cpu, package)},
            {"core_id", offsetof(struct cpu, core)},
            {"book_id", offsetof(struct cpu, book)},
            {"drawer_id", offsetof(struct cpu, drawer)},
        };
        *cpu = (struct cpu){.id = ids[i], .node = -1};
        for (size_t file = 0; file < sizeof(files) / sizeof(files[0]); file++) {
            int64_t number = tly_machine_number(machine, machine->sys,
                                                CPU_SYS "/cpu%" PRId64 "/topology/%s", ids[i],
                                                files[file].name);
            memcpy((char *)cpu + files[file].offset, &number, sizeof(number));
        }
    }
    free(ids);
    *ret_cpus = (struct cpus){cpus, count};
    return 0;
}

/* How many different pairs there are, those with a -1 apart; `second` may be the same member as
 * `first`. Quadratic in what hosts have some hundreds of, once a minute. */
static int64_t pairs_count(const struct cpus *cpus, size_t first, size_t second)
{
    int64_t found = 0;
    for (size_t i = 0; i < cpus->count; i++) {
        const char *one = (const char *)&cpus->at[i];
        bool fresh = *(const int64_t *)(const void *)(one + first) >= 0 &&
                     *(const int64_t *)(const void *)(one + second) >= 0;
        for (size_t j = 0; j < i && fresh; j++) {
            const char *other = (const char *)&cpus->at[j];
            fresh = memcmp(one + first, other + first, sizeof(int64_t)) != 0 ||
                    memcmp(one + second, other + second, sizeof(int64_t)) != 0;
        }
        found += fresh;
    }
    return found;
}

static void processors_write(const struct tly_machine *machine, const struct cpus *cpus,
                             struct tly_samples *samples)
{
    const struct {
        enum tly_family_id family;
        int64_t count;
    } rows[] = {
        {TLY_F_machine_cpu_cores, (int64_t)cpus->count},
        {TLY_F_machine_cpu_physical_cores,
         pairs_count(cpus, offsetof(struct cpu, package), offsetof(struct cpu, core))},
        {TLY_F_machine_cpu_sockets,
         pairs_count(cpus, offsetof(struct cpu, package), offsetof(struct cpu, package))},
        {TLY_F_machine_cpu_books,
         pairs_count(cpus, offsetof(struct cpu, book), offsetof(struct cpu, book))},
        {TLY_F_machine_cpu_drawers,
         pairs_count(cpus, offsetof(struct cpu, drawer), offsetof(struct cpu, drawer))},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].count > 0) {
            add(machine, samples, rows[i].family, NULL, 0, rows[i].count);
        }
    }
}

static bool same_core(const struct cpu *a, const struct cpu *b)
{
    return a->package == b->package && a->core == b->core;
}

static int64_t threads_of(const struct cpus *cpus, const struct cpu *cpu)
{
    int64_t count = 0;
    for (size_t i = 0; i < cpus->count; i++) {
        count += same_core(&cpus->at[i], cpu);
    }
    return count;
}

static void threads_write(const struct tly_machine *machine, const struct cpus *cpus,
                          struct tly_samples *samples)
{
    for (size_t i = 0; i < cpus->count; i++) {
        const struct cpu *cpu = &cpus->at[i];
        if (cpu->core < 0 || cpu->node < 0) {
            continue;
        }
        struct digits node = digits(cpu->node);
        struct digits core = digits(cpu->core);
        struct digits thread = digits(cpu->id);
        const struct tly_machine_label labels[] = {{"node_id", tly_text_of(node.at)},
                                                   {"core_id", tly_text_of(core.at)},
                                                   {"thread_id", tly_text_of(thread.at)}};
        add(machine, samples, TLY_F_machine_thread_siblings_count, labels, 3,
            threads_of(cpus, cpu));
    }
}

/* ---- caches ---- */

struct cache {
    int64_t node, core; /* core -1: several share it */
    int64_t bytes, level;
    char type[16];
};

/* One cache of a CPU, if that is the first of those that share it. */
static bool cache_read(struct tly_machine *machine, const struct cpus *cpus, const struct cpu *cpu,
                       int index, struct cache *ret_cache)
{
    struct cache cache = {.node = cpu->node, .core = cpu->core};
    int64_t sharing = 0;
    uint32_t first = 0;
    uint32_t last = 0;
    struct tly_text list = tly_machine_text(machine, machine->sys,
                                            CPU_SYS "/cpu%" PRId64 "/cache/index%d/shared_cpu_list",
                                            cpu->id, index);
    if (tly_cpu_list_count(list, &sharing) < 0 || !tly_cpu_list_next(&list, &first, &last) ||
        first != cpu->id) {
        return false;
    }
    cache.core = sharing > threads_of(cpus, cpu) ? -1 : cpu->core;
    cache.level = tly_machine_number(machine, machine->sys,
                                     CPU_SYS "/cpu%" PRId64 "/cache/index%d/level", cpu->id, index);
    struct tly_text type = tly_machine_text(
        machine, machine->sys, CPU_SYS "/cpu%" PRId64 "/cache/index%d/type", cpu->id, index);
    size_t len = type.len < sizeof(cache.type) ? type.len : sizeof(cache.type) - 1;
    if (len > 0) {
        memcpy(cache.type, type.at, len);
    }
    struct tly_text size = tly_machine_text(
        machine, machine->sys, CPU_SYS "/cpu%" PRId64 "/cache/index%d/size", cpu->id, index);
    if (cache.level < 0 || tly_cache_size_parse(size, &cache.bytes) < 0) {
        return false;
    }
    *ret_cache = cache;
    return true;
}

static void cache_write(const struct tly_machine *machine, const struct cache *cache,
                        struct tly_samples *samples)
{
    struct digits node = digits(cache->node);
    struct digits core = digits(cache->core);
    struct digits level = digits(cache->level);
    const struct tly_machine_label labels[] = {
        {"node_id", tly_text_of(node.at)},
        {"core_id", cache->core < 0 ? TLY_TEXT("") : tly_text_of(core.at)},
        {"type", tly_text_of(cache->type)},
        {"level", tly_text_of(level.at)},
    };
    add(machine, samples, TLY_F_machine_cpu_cache_capacity_bytes, labels, 4, cache->bytes);
}

/* Adds to one that would have the same labels. False when there is no room. */
static bool shared_add(struct cache *shared, size_t *count, size_t cap, const struct cache *cache)
{
    for (size_t i = 0; i < *count; i++) {
        if (shared[i].node == cache->node && shared[i].level == cache->level &&
            strcmp(shared[i].type, cache->type) == 0) {
            shared[i].bytes += cache->bytes;
            return true;
        }
    }
    if (*count == cap) {
        return false;
    }
    shared[(*count)++] = *cache;
    return true;
}

static void caches_write(struct tly_machine *machine, const struct cpus *cpus,
                         struct tly_samples *samples)
{
    struct cache shared[CACHES_MAX * 4]; /* levels and types of as many nodes as have any */
    size_t shared_count = 0;
    for (size_t i = 0; i < cpus->count; i++) {
        const struct cpu *cpu = &cpus->at[i];
        for (int index = 0; index < CACHES_MAX && cpu->node >= 0 && cpu->core >= 0; index++) {
            struct cache cache;
            if (!cache_read(machine, cpus, cpu, index, &cache)) {
                continue;
            }
            if (cache.core >= 0) {
                cache_write(machine, &cache, samples);
            } else if (!shared_add(shared, &shared_count, sizeof(shared) / sizeof(shared[0]),
                                   &cache)) {
                samples->refused++;
            }
        }
    }
    for (size_t i = 0; i < shared_count; i++) {
        cache_write(machine, &shared[i], samples);
    }
}

/* ---- NUMA nodes ---- */

static void hugepages_write(struct tly_machine *machine, int64_t node, struct tly_samples *samples)
{
    static const char prefix[] = "hugepages-";
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/" NODE_SYS "/node%" PRId64 "/hugepages",
                       machine->sys, node);
    DIR *directory = len < (int)sizeof(path) ? opendir(path) : NULL;
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct tly_text size = tly_text_of(entry->d_name);
        const struct tly_text unit = TLY_TEXT("kB");
        if (!tly_text_starts(size, TLY_TEXT(prefix)) || !tly_text_ends(size, unit)) {
            continue;
        }
        size = (struct tly_text){size.at + sizeof(prefix) - 1,
                                 size.len - (sizeof(prefix) - 1) - unit.len};
        int64_t count = tly_machine_number(machine, path, "%s/nr_hugepages", entry->d_name);
        struct digits id = digits(node);
        const struct tly_machine_label labels[] = {{"node_id", tly_text_of(id.at)},
                                                   {"page_size", size}};
        if (count >= 0) {
            add(machine, samples, TLY_F_machine_node_hugepages_count, labels, 2, count);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory); /* was only read */
    }
}

static void distances_write(struct tly_machine *machine, const int64_t *nodes, size_t count,
                            size_t from, struct tly_samples *samples)
{
    struct tly_text rest = tly_machine_text(machine, machine->sys,
                                            NODE_SYS "/node%" PRId64 "/distance", nodes[from]);
    for (size_t to = 0; to < count && rest.at != NULL; to++) {
        int64_t distance = 0;
        struct digits node = digits(nodes[from]);
        struct digits target = digits(nodes[to]);
        const struct tly_machine_label labels[] = {{"node_id", tly_text_of(node.at)},
                                                   {"target_node_id", tly_text_of(target.at)}};
        if (tly_text_i64(tly_text_cut(&rest, ' '), &distance) == 0 && distance >= 0) {
            add(machine, samples, TLY_F_machine_node_distance, labels, 2, distance);
        }
    }
}

static void nodes_write(struct tly_machine *machine, const int64_t *nodes, size_t count,
                        struct tly_samples *samples)
{
    for (size_t i = 0; i < count; i++) {
        struct digits node = digits(nodes[i]);
        const struct tly_machine_label labels[] = {{"node_id", tly_text_of(node.at)}};
        struct tly_text text = tly_machine_text(machine, machine->sys,
                                                NODE_SYS "/node%" PRId64 "/meminfo", nodes[i]);
        int64_t bytes = tly_meminfo_bytes(text, TLY_TEXT("MemTotal"));
        if (bytes >= 0) {
            add(machine, samples, TLY_F_machine_node_memory_capacity_bytes, labels, 1, bytes);
        }
        hugepages_write(machine, nodes[i], samples);
        distances_write(machine, nodes, count, i, samples);
    }
}

/* Says of each CPU on which node it is. */
static void nodes_assign(struct tly_machine *machine, const int64_t *nodes, size_t count,
                         const struct cpus *cpus)
{
    for (size_t i = 0; i < count; i++) {
        struct tly_text list = tly_machine_text(machine, machine->sys,
                                                NODE_SYS "/node%" PRId64 "/cpulist", nodes[i]);
        uint32_t first = 0;
        uint32_t last = 0;
        while (tly_cpu_list_next(&list, &first, &last)) {
            for (size_t cpu = 0; cpu < cpus->count; cpu++) {
                if (cpus->at[cpu].id >= first && cpus->at[cpu].id <= last) {
                    cpus->at[cpu].node = nodes[i];
                }
            }
        }
    }
}

static void topology_write(struct tly_machine *machine, const struct cpus *cpus,
                           struct tly_samples *samples)
{
    int64_t nodes[NODES_MAX];
    size_t count = list_read(tly_machine_text(machine, machine->sys, NODE_SYS "/online"), nodes,
                             NODES_MAX);
    nodes_assign(machine, nodes, count, cpus);
    caches_write(machine, cpus, samples);
    threads_write(machine, cpus, samples);
    nodes_write(machine, nodes, count, samples);
}

/* ---- memory modules ---- */

/* Types of one host; more than two kinds don't fit into one. */
#define TYPES_MAX  8
#define TYPE_BYTES 32

struct modules {
    char type[TYPES_MAX][TYPE_BYTES];
    int64_t number[TYPES_MAX], bytes[TYPES_MAX];
    size_t count;
};

static void module_add(struct modules *modules, struct tly_text type, int64_t bytes)
{
    size_t i = 0;
    while (i < modules->count && !tly_text_equal(tly_text_of(modules->type[i]), type)) {
        i++;
    }
    if (i == TYPES_MAX || type.len == 0 || type.len >= TYPE_BYTES) {
        return;
    }
    if (i == modules->count) {
        memcpy(modules->type[i], type.at, type.len);
        modules->count++;
    }
    modules->number[i]++;
    modules->bytes[i] += bytes;
}

#define BYTES_PER_MIB (1024 * 1024)

/* The modules of one memory controller, whose folders are called dimm0, or rank0 where the
 * controller counts so. */
static void controller_read(struct tly_machine *machine, const char *path, struct modules *modules)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, "dimm", 4) != 0) {
            continue;
        }
        int64_t mebibytes = tly_machine_number(machine, path, "%s/size", entry->d_name);
        if (mebibytes > 0 && mebibytes < INT64_MAX / BYTES_PER_MIB) {
            struct tly_text type = tly_machine_text(machine, path, "%s/dimm_mem_type",
                                                    entry->d_name);
            module_add(modules, type, mebibytes * BYTES_PER_MIB);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory); /* was only read */
    }
}

static void modules_write(struct tly_machine *machine, struct tly_samples *samples)
{
    char path[PATH_MAX];
    char controller[PATH_MAX + NAME_MAX + 2];
    struct modules modules = {0};
    int len = snprintf(path, sizeof(path), "%s/devices/system/edac/mc", machine->sys);
    DIR *directory = len < (int)sizeof(path) ? opendir(path) : NULL;
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, "mc", 2) == 0) {
            (void)snprintf(controller, sizeof(controller), "%s/%s", path, entry->d_name);
            controller_read(machine, controller, &modules);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory); /* was only read */
    }
    for (size_t i = 0; i < modules.count; i++) {
        const struct tly_machine_label labels[] = {{"type", tly_text_of(modules.type[i])}};
        add(machine, samples, TLY_F_machine_dimm_count, labels, 1, modules.number[i]);
        add(machine, samples, TLY_F_machine_dimm_capacity_bytes, labels, 1, modules.bytes[i]);
    }
}

int tly_machine_topology_write(struct tly_machine *machine, const struct tly_group_choice *groups,
                               struct tly_samples *samples)
{
    struct cpus cpus = {NULL, 0};
    int rc = cpus_read(machine, &cpus);
    if (rc == 0) {
        processors_write(machine, &cpus, samples);
        if (groups->on[TLY_G_cpu_topology]) {
            topology_write(machine, &cpus, samples);
        }
    }
    modules_write(machine, samples);
    free(cpus.at);
    return rc;
}
