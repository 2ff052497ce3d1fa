/*
 * What collecting costs: a whole round over the containers of a cgroup tree, from walking through
 * it to the samples in the inventory. Beside it the floor: the same files read through held
 * descriptors and nothing done with them. Once on cgroups of the kernel, made for it, and once on a
 * tree of plain files that has every file, whose floor is lower than any kernel's. CPU time of this
 * thread, median of the rounds.
 *
 * usage: bench_collect [MOST_TIMES [CONTAINERS…]]
 *        bench_collect --make FOLDER CONTAINERS
 * With MOST_TIMES, fails above that many times the floor on the kernel's cgroups, or where a
 * container among many costs half as much again as one among few with the same share of files held.
 * With
 * --make, only makes the tree of plain files, for programs that measure the agent as a whole.
 */
#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/inventory/inventory.h"
#include "collectors/cgroup/root.h"
#include "collectors/cgroup/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS    15
#define SIZES_MAX 4

static int64_t cpu_ns(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at); /* of our own thread: can't fail */
    return at.tv_sec * TLY_NS_PER_S + at.tv_nsec;
}

static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "bench_collect: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static double median_us(int64_t durations_ns[ROUNDS])
{
    qsort(durations_ns, ROUNDS, sizeof(*durations_ns), compare);
    int64_t median_ns = durations_ns[ROUNDS / 2];
    return (double)median_ns / (double)TLY_NS_PER_US;
}

/* ---- the trees ---- */

/* A folder with that many containers; removed at the end. */
struct place {
    char path[PATH_MAX];
    bool plain; /* files of our own, not the kernel's */
    size_t count;
};

static void container_path(const struct place *place, size_t container, char to[PATH_MAX + 80])
{
    (void)snprintf(to, PATH_MAX + 80, "%s/%016zx%016zx%016zx%016zx", place->path, container,
                   container * 7, container * 13, container * 31);
}

/* What a container that did some work has in its files (Linux 6.1). */
static const struct {
    const char *name, *text;
} plain_files[] = {
    {"cgroup.events", "populated 1\nfrozen 0\n"},
    {"cpu.stat", "usage_usec 812345678\nuser_usec 612345678\nsystem_usec 200000000\n"
                 "core_sched.force_idle_usec 0\nnr_periods 12345\nnr_throttled 123\n"
                 "throttled_usec 4567890\nnr_bursts 0\nburst_usec 0\n"},
    {"memory.current", "268435456\n"},
    {"memory.peak", "301989888\n"},
    {"memory.stat",
     "anon 134217728\nfile 100663296\nkernel 4194304\nkernel_stack 262144\npagetables 1048576\n"
     "sec_pagetables 0\npercpu 288\nsock 4096\nvmalloc 0\nshmem 8192\nzswap 0\nzswapped 0\n"
     "file_mapped 33554432\nfile_dirty 135168\nfile_writeback 0\nswapcached 0\n"
     "anon_thp 41943040\nfile_thp 0\nshmem_thp 0\ninactive_anon 104857600\nactive_anon 29360128\n"
     "inactive_file 67108864\nactive_file 33554432\nunevictable 0\nslab_reclaimable 1835008\n"
     "slab_unreclaimable 786432\nslab 2621440\nworkingset_refault_anon 0\n"
     "workingset_refault_file 1234\nworkingset_activate_anon 0\nworkingset_activate_file 567\n"
     "workingset_restore_anon 0\nworkingset_restore_file 89\nworkingset_nodereclaim 0\n"
     "pgscan 4321\npgsteal 4012\npgscan_kswapd 4000\npgscan_direct 321\npgsteal_kswapd 3900\n"
     "pgsteal_direct 112\npgfault 987654\npgmajfault 321\npgrefill 222\npgactivate 3333\n"
     "pgdeactivate 111\npglazyfree 0\npglazyfreed 0\nzswpin 0\nzswpout 0\nthp_fault_alloc 21\n"
     "thp_collapse_alloc 3\n"},
    {"memory.events", "low 0\nhigh 12\nmax 3\noom 0\noom_kill 0\noom_group_kill 0\n"},
    {"memory.swap.current", "1048576\n"},
    {"memory.swap.peak", "2097152\n"},
    {"memory.swap.events", "high 0\nmax 0\nfail 0\n"},
    {"cpu.pressure", "some avg10=0.12 avg60=0.34 avg300=0.56 total=123456789\n"
                     "full avg10=0.00 avg60=0.01 avg300=0.02 total=12345678\n"},
    {"memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=34567\n"
                        "full avg10=0.00 avg60=0.00 avg300=0.00 total=23456\n"},
    {"io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=4567890\n"
                    "full avg10=0.00 avg60=0.00 avg300=0.00 total=3456789\n"},
    {"io.stat", "8:0 rbytes=104857600 wbytes=209715200 rios=2345 wios=6789 dbytes=0 dios=0\n"
                "253:0 rbytes=104857600 wbytes=209715200 rios=2345 wios=6789 dbytes=0 dios=0\n"},
    {"pids.current", "17\n"},
    {"pids.events", "max 0\n"},
    {"cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"},
    {"cpu.max", "200000 100000\n"},
    {"cpu.weight", "100\n"},
    {"memory.max", "536870912\n"},
    {"memory.high", "max\n"},
    {"memory.low", "0\n"},
    {"memory.min", "0\n"},
    {"memory.swap.max", "max\n"},
    {"pids.max", "1024\n"},
};
#define PLAIN_FILES (sizeof(plain_files) / sizeof(plain_files[0]))

static void plain_write(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX + 120];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    must(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, path);
}

static void place_fill(struct place *place, size_t count)
{
    char path[PATH_MAX + 80];
    must(mkdir(place->path, 0755) == 0, place->path);
    if (place->plain) {
        plain_write(place->path, "cpu.stat", "usage_usec 1\n");
    }
    for (place->count = 0; place->count < count; place->count++) {
        container_path(place, place->count, path);
        must(mkdir(path, 0755) == 0, path);
        for (size_t i = 0; place->plain && i < PLAIN_FILES; i++) {
            plain_write(path, plain_files[i].name, plain_files[i].text);
        }
    }
}

static void place_clear(struct place *place)
{
    char path[PATH_MAX + 80];
    while (place->count > 0) {
        container_path(place, --place->count, path);
        for (size_t i = 0; place->plain && i < PLAIN_FILES; i++) {
            char file[PATH_MAX + 120];
            (void)snprintf(file, sizeof(file), "%s/%s", path, plain_files[i].name);
            (void)unlink(file);
        }
        (void)rmdir(path);
    }
    if (place->plain) {
        char file[PATH_MAX + 120];
        (void)snprintf(file, sizeof(file), "%s/cpu.stat", place->path);
        (void)unlink(file);
    }
    (void)rmdir(place->path);
}

/* ---- the floor ---- */

/* One container: its files that are there, and those of them that are held open. */
struct floor_row {
    int fds[TLY_CGROUP_FILES]; /* -1: opened at each reading */
    bool there[TLY_CGROUP_FILES];
    bool all_held;
};

static size_t row_open(struct floor_row *row, const char *folder, size_t *budget)
{
    size_t files = 0;
    row->all_held = true;
    for (size_t i = 0; i < TLY_CGROUP_FILES; i++) {
        char path[PATH_MAX + 120];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, plain_files[i].name);
        row->fds[i] = -1;
        row->there[i] = access(path, R_OK) == 0;
        if (row->there[i] && *budget > 0) {
            row->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
            must(row->fds[i] >= 0, path);
            (*budget)--;
        }
        row->all_held = row->all_held && (!row->there[i] || row->fds[i] >= 0);
        files += row->there[i];
    }
    return files;
}

static void row_read(const struct place *place, size_t container, const struct floor_row *row)
{
    static char buffer[16384];
    char path[PATH_MAX + 80];
    int folder = -1;
    if (!row->all_held) {
        container_path(place, container, path);
        folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(folder >= 0, path);
    }
    for (size_t i = 0; i < TLY_CGROUP_FILES; i++) {
        if (!row->there[i]) {
            continue;
        }
        int fd = row->fds[i] >= 0 ? row->fds[i]
                                  : openat(folder, plain_files[i].name, O_RDONLY | O_CLOEXEC);
        must(fd >= 0 && pread(fd, buffer, sizeof(buffer), 0) >= 0, plain_files[i].name);
        if (row->fds[i] < 0) {
            (void)close(fd);
        }
    }
    if (folder >= 0) {
        (void)close(folder);
    }
}

/* `ret_files`: of one container. */
static double floor_us(const struct place *place, size_t budget, size_t *ret_files)
{
    struct floor_row *rows = calloc(place->count, sizeof(*rows));
    must(rows != NULL, "rows");
    for (size_t i = 0; i < place->count; i++) {
        char path[PATH_MAX + 80];
        container_path(place, i, path);
        *ret_files = row_open(&rows[i], path, &budget);
    }
    int64_t durations_ns[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        int64_t start_ns = cpu_ns();
        for (size_t i = 0; i < place->count; i++) {
            row_read(place, i, &rows[i]);
        }
        durations_ns[round] = cpu_ns() - start_ns;
    }
    for (size_t i = 0; i < place->count * TLY_CGROUP_FILES; i++) {
        int fd = rows[i / TLY_CGROUP_FILES].fds[i % TLY_CGROUP_FILES];
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    free(rows);
    return median_us(durations_ns);
}

/* ---- collecting ---- */

struct collecting {
    struct tly_cgroup_tree *tree;
    struct tly_inventory *inventory;
    unsigned slot;
};

static void collecting_new(const struct place *place, size_t budget, struct collecting *collecting)
{
    struct tly_cgroup_config config = {
        .root = place->path, .proc = "/proc", .sys = "/sys", .descriptors_max = budget};
    const struct tly_inventory_limits limits = {
        .containers_max = place->count, .label_value_bytes_max = 1024, .labels_max = 32};
    tly_group_choice_init(&config.groups);
    must(tly_cgroup_tree_new(&config, &collecting->tree) == 0, "tree");
    must(tly_inventory_new(&limits, NULL, 0, &collecting->inventory) == 0, "inventory");
    must(tly_inventory_slot(collecting->inventory, "cgroup", &collecting->slot) == 0, "slot");
}

/* As the collector does it. */
static void collect(struct collecting *collecting)
{
    struct tly_cgroup_tree *tree = collecting->tree;
    tly_cgroup_tree_run(tree, true, true);
    struct tly_map_entry entry;
    for (void *at = NULL; tly_map_next(tree->nodes, &at, &entry);) {
        struct tly_cgroup_node *node = entry.value;
        if (node->fresh && node->facts != NULL && node->set != NULL) {
            must(tly_inventory_put(collecting->inventory, TLY_SOURCE_CGROUP,
                                   tly_container_ref(node->facts), tree->run_ns) == 0,
                 "put");
            tly_inventory_publish(collecting->inventory, collecting->slot, tly_text_of(node->id),
                                  node->files.inode, node->set);
            node->set = NULL;
            node->fresh = false;
        }
    }
    tly_inventory_publish_host(collecting->inventory, collecting->slot, tree->host_set);
    tree->host_set = NULL;
}

static double collect_us(const struct place *place, size_t budget, size_t *ret_samples)
{
    struct collecting collecting;
    collecting_new(place, budget, &collecting);
    collect(&collecting); /* opens the files, and makes the rows */
    must(tly_inventory_count(collecting.inventory) == place->count && collecting.tree->errors == 0,
         "not every container was read");
    int64_t durations_ns[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        int64_t start_ns = cpu_ns();
        collect(&collecting);
        durations_ns[round] = cpu_ns() - start_ns;
    }
    struct tly_snapshot *snapshot = tly_inventory_snapshot(collecting.inventory);
    must(snapshot != NULL, "snapshot");
    *ret_samples = tly_sample_set_count(snapshot->rows[0].sets[collecting.slot]);
    tly_snapshot_unref(snapshot);
    tly_cgroup_tree_free(collecting.tree);
    tly_inventory_free(collecting.inventory);
    return median_us(durations_ns);
}

/* ---- figures ---- */

struct figure {
    double times; /* the floor */
    double us;    /* of one container */
};

/* What is still linear: more containers have more memory, of which less is in the caches. */
#define GROWTH_MAX 1.5

static struct figure measure(struct place *place, const char *what, size_t count, size_t budget)
{
    size_t files = 0;
    size_t samples = 0;
    place_fill(place, count);
    double floor = floor_us(place, budget, &files);
    double collecting = collect_us(place, budget, &samples);
    place_clear(place);
    struct figure figure = {.times = collecting / floor, .us = collecting / (double)count};
    size_t held = budget < files * count ? budget * 100 / (files * count) : 100;
    printf(
        "  %-16s %6zu containers, %3zu%% of %2zu files held: %8.2f ms, floor %8.2f ms, %5.2f times "
        "the floor; a container: %6.2f us, %zu samples\n",
        what, count, held, files, collecting / 1e3, floor / 1e3, figure.times, figure.us, samples);
    return figure;
}

/* Descriptors that may be held: what the process may have at most, less some for the rest. */
static size_t descriptors_possible(void)
{
    const size_t spare = 64;
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    const rlim_t most = 1U << 20;
    struct rlimit wanted = {most, limit.rlim_max > most ? limit.rlim_max : most};
    if (setrlimit(RLIMIT_NOFILE, &wanted) < 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* then what there is has to do */
    }
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    return limit.rlim_cur - spare;
}

/* A folder for cgroups of our own; false where that can't be had. */
static bool kernel_place(struct place *place)
{
    struct tly_buf buf;
    char *root = NULL;
    tly_buf_init(&buf, 16U << 20);
    int rc = tly_cgroup_root_find(NULL, "/proc", &buf, &root);
    tly_buf_done(&buf);
    if (rc < 0) {
        return false;
    }
    *place = (struct place){.plain = false};
    (void)snprintf(place->path, sizeof(place->path), "%s/tally-bench-%d", root, getpid());
    free(root);
    if (mkdir(place->path, 0755) < 0) {
        return false;
    }
    (void)rmdir(place->path);
    return true;
}

static void plain_place(struct place *place)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    *place = (struct place){.plain = true};
    (void)snprintf(place->path, sizeof(place->path), "%s/tally-bench-%d", folder, getpid());
}

/* One container's cost among many, beside what one among few costs of whose files the same share is
 * held. */
static bool grows_linearly(struct place *place, size_t few, size_t many, size_t budget, double us)
{
    const struct figure beside = measure(place, "as many held", few, budget * few / many);
    printf("  of %zu a container costs %.2f times as much as of %zu\n", many, us / beside.us, few);
    return us <= beside.us * GROWTH_MAX;
}

/* False when something is over its bound; `most` 0: there is none. */
static bool measure_sizes(bool plain, const size_t *sizes, size_t count, size_t budget, double most)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        struct place place;
        if (plain || !kernel_place(&place)) {
            plain_place(&place);
        }
        const char *what = plain ? "plain files" : "kernel's cgroups";
        const struct figure figure = measure(&place, what, sizes[i], budget);
        if (!plain && most > 0 && figure.times > most) {
            (void)fprintf(stderr, "over the bound of %.1f times the floor\n", most);
            good = false;
        }
        if (i > 0 && !grows_linearly(&place, sizes[0], sizes[i], budget, figure.us) && most > 0) {
            (void)fprintf(stderr, "more than %.1f times\n", GROWTH_MAX);
            good = false;
        }
    }
    return good;
}

static int make_only(const char *folder, const char *count)
{
    struct place place = {.plain = true};
    (void)snprintf(place.path, sizeof(place.path), "%s", folder);
    place_fill(&place, strtoul(count, NULL, 10));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--make") == 0) {
        return make_only(argv[2], argv[3]);
    }
    size_t sizes[SIZES_MAX] = {1000, 10000};
    size_t size_count = argc > 2 ? 0 : 2;
    double most = argc > 1 ? strtod(argv[1], NULL) : 0;
    for (int i = 2; i < argc && size_count < SIZES_MAX; i++) {
        sizes[size_count++] = strtoul(argv[i], NULL, 10);
    }
    size_t budget = descriptors_possible();
    struct place place;
    bool kernel = kernel_place(&place);
    bool failed = false;
    printf("collect: a round over all containers, CPU time\n");
    if (!kernel) {
        printf("SKIP no cgroups of the kernel: cgroup2 is not mounted, or may not be written\n");
    }
    for (size_t way = kernel ? 0 : 1; way < 2; way++) {
        failed = !measure_sizes(way == 1, sizes, size_count, budget, most) || failed;
    }
    return failed ? 1 : 0;
}
