/*
 * Reading procfs for one container; see process.h. The files are those of proc(5); each is small
 * and read whole.
 */
#include "collectors/posture/process.h"

#include "agent/base/file.h"
#include "agent/codec/cgroup_path.h"
#include "collectors/posture/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_STEP        16384
#define FILE_SHORT       3072         /* mountinfo comes in pieces of up to a page, cut at lines */
#define FILE_BYTES_MAX   (256 * 1024) /* mountinfo and socket tables of busy hosts */
#define PROCESSES_MAX    256          /* of one container that are looked at */
#define CGROUPS_MAX      64           /* within one container's own that are entered */
#define CGROUP_DEPTH_MAX 8
#define TABLE_BLOCK      16384 /* of a table of sockets that is read at once */
#define TABLE_BLOCKS_MAX 64
#define UDP_EPHEMERAL    32768 /* from here on a bound port is mostly a client's */

static int read_file(int dir_fd, const char *name, struct tly_buf *buf)
{
    char *to = NULL;
    TLY_AUTO_FD fd = -1;
    tly_buf_clear(buf);
    int rc = tly_file_open(dir_fd, name, O_RDONLY, &fd);
    for (bool more = true; rc == 0 && more && buf->len < buf->max;) {
        rc = tly_buf_reserve(buf, FILE_STEP, &to);
        ssize_t got = rc < 0 ? 0 : read(fd, to, FILE_STEP);
        rc = got < 0 ? -errno : rc;
        buf->len += got > 0 ? (size_t)got : 0;
        /* Such files come whole, or by pages: a short piece is the last one. */
        more = got >= FILE_SHORT;
    }
    return rc == TLY_E_LIMIT ? 0 : rc; /* what there was room for is the most important */
}

/* The text behind "Name:" in lines of that form, trimmed; {NULL, 0} without. */
static struct tly_text field(struct tly_text text, const char *name)
{
    struct tly_text key = tly_text_of(name);
    for (struct tly_text rest = text; rest.at;) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (tly_text_starts(line, key)) {
            return tly_text_trim((struct tly_text){line.at + key.len, line.len - key.len});
        }
    }
    return (struct tly_text){NULL, 0};
}

static uint64_t hex(struct tly_text text)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, text.at[i] | 0x20);
        if (!digit || text.at[i] == '\0') {
            break;
        }
        value = value << 4 | (uint64_t)(digit - digits);
    }
    return value;
}

/* ---- whose process it is ---- */

int tly_process_open(const struct tly_host_paths *paths, int64_t pid, struct tly_text id,
                     int *ret_fd, char why[160])
{
    char path[PATH_MAX];
    struct tly_buf buf;
    if (pid <= 0) {
        (void)snprintf(why, 160, "it does not run");
        return -ESRCH;
    }
    (void)snprintf(path, sizeof(path), "%s/%" PRId64, paths->proc, pid);
    int fd = -1;
    int rc = tly_file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &fd);
    tly_buf_init(&buf, FILE_BYTES_MAX);
    rc = rc < 0 ? rc : read_file(fd, "cgroup", &buf);
    if (rc < 0) {
        (void)snprintf(why, 160, "process %" PRId64 " cannot be seen from here: %s", pid,
                       tly_error_name(rc));
    } else if (id.len == 0 || !buf.at || !memmem(buf.at, buf.len, id.at, id.len)) {
        (void)snprintf(why, 160,
                       "process %" PRId64 " is none of its own (another host, or pid "
                       "namespace)",
                       pid);
        rc = -ESRCH;
    }
    tly_buf_done(&buf);
    if (rc < 0) {
        tly_fd_close(&fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- status ---- */

static bool effective_root(struct tly_text status)
{
    struct tly_text uids = field(status, "Uid:"); /* real, effective, saved, file system */
    uint64_t number = 1;
    if (!uids.at) {
        return false;
    }
    (void)tly_text_cut(&uids, '\t'); /* the real one */
    return uids.at && tly_text_u64(tly_text_cut(&uids, '\t'), &number) == 0 && number == 0;
}

static void take_groups(struct tly_text status, struct tly_process_facts *facts)
{
    static const char *const low[] = {"0", "6", "15", "42"}; /* root, disk, kmem, shadow */
    struct tly_text groups = field(status, "Groups:");
    while (groups.at && groups.len > 0) {
        struct tly_text group = tly_text_cut(&groups, ' ');
        for (size_t i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
            if (tly_text_equal(group, tly_text_of(low[i]))) {
                tly_names_push(&facts->privileged_groups, group);
            }
        }
    }
}

static void take_status(struct tly_text status, struct tly_process_facts *facts)
{
    uint64_t number = 0;
    facts->cap_effective = hex(field(status, "CapEff:"));
    facts->cap_bounding = hex(field(status, "CapBnd:"));
    facts->cap_ambient = hex(field(status, "CapAmb:"));
    facts->seccomp = tly_text_u64(field(status, "Seccomp:"), &number) == 0 ? (int)number : -1;
    facts->no_new_privileges = tly_text_u64(field(status, "NoNewPrivs:"), &number) == 0
                                   ? (tly_tristate)(number != 0)
                                   : -1;
    take_groups(status, facts);
}

/* ---- namespaces ---- */

static void take_namespaces(const struct tly_host_paths *paths, int process_fd,
                            struct tly_process_facts *facts)
{
    static const char *const names[TLY_NS_COUNT] = {
        [TLY_NS_PID] = "ns/pid", [TLY_NS_IPC] = "ns/ipc",       [TLY_NS_UTS] = "ns/uts",
        [TLY_NS_NET] = "ns/net", [TLY_NS_CGROUP] = "ns/cgroup", [TLY_NS_USER] = "ns/user",
    };
    for (size_t i = 0; i < TLY_NS_COUNT; i++) {
        char path[PATH_MAX];
        struct stat own;
        struct stat first;
        (void)snprintf(path, sizeof(path), "%s/1/%s", paths->proc, names[i]);
        facts->shared[i] = -1;
        if (fstatat(process_fd, names[i], &own, 0) == 0 && stat(path, &first) == 0) {
            facts->shared[i] = own.st_ino == first.st_ino && own.st_dev == first.st_dev;
        }
    }
}

/* "         0          0 4294967295": every id is itself. */
static tly_tristate is_identity(struct tly_text map)
{
    uint64_t numbers[3] = {1, 1, 1};
    size_t count = 0;
    for (struct tly_text rest = tly_text_trim(map); rest.at && count < 3;) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        word = tly_text_trim(word);
        if (word.len > 0 && tly_text_u64(word, &numbers[count++]) < 0) {
            return -1;
        }
    }
    return count < 3 ? -1 : numbers[0] == 0 && numbers[1] == 0 && numbers[2] >= UINT32_MAX;
}

/* ---- limits ---- */

static void take_limits(struct tly_text limits, struct tly_process_facts *facts)
{
    struct tly_text row = field(limits, "Max open files");
    uint64_t number = 0;
    facts->open_files_max = -1;
    if (!row.at) {
        return;
    }
    struct tly_text soft = tly_text_cut(&row, ' ');
    if (tly_text_equal(soft, TLY_TEXT("unlimited"))) {
        facts->open_files_max = INT64_MAX;
    } else if (tly_text_u64(soft, &number) == 0 && number <= INT64_MAX) {
        facts->open_files_max = (int64_t)number;
    }
}

static int64_t cgroup_limit(int folder_fd, const char *name, struct tly_buf *buf)
{
    uint64_t number = 0;
    if (read_file(folder_fd, name, buf) < 0) {
        return -1;
    }
    struct tly_text text = tly_text_trim(tly_buf_text(buf));
    if (tly_text_equal(text, TLY_TEXT("max"))) {
        return INT64_MAX;
    }
    return tly_text_u64(text, &number) == 0 && number <= INT64_MAX ? (int64_t)number : -1;
}

/* ---- all processes of the cgroup ---- */

static bool is_ssh_server(struct tly_text name)
{
    return tly_text_equal(name, TLY_TEXT("sshd")) || tly_text_equal(name, TLY_TEXT("dropbear")) ||
           tly_text_equal(name, TLY_TEXT("sshd-session"));
}

static void take_process(struct tly_text status, struct tly_process_facts *facts)
{
    struct tly_text name = field(status, "Name:");
    facts->processes++;
    if (effective_root(status)) {
        tly_names_push(&facts->root_processes, name);
    }
    if (is_ssh_server(name)) {
        tly_names_push(&facts->ssh_servers, name);
    }
}

/* The processes of a cgroup and of those below it. */
struct members {
    const struct tly_host_paths *paths;
    struct tly_text status; /* of the first process; it was read already */
    struct tly_buf pids, other;
    size_t cgroups; /* that were entered */
    bool cut;       /* there are more than the bounds allow */
    struct tly_process_facts *facts;
};

static void take_pids(struct members *members)
{
    struct tly_text first = field(members->status, "Pid:");
    struct tly_text pids = tly_buf_text(&members->pids);
    while (pids.at && pids.len > 0) {
        struct tly_text pid = tly_text_cut(&pids, '\n');
        char path[PATH_MAX];
        if (pid.len > 0 && members->facts->processes == PROCESSES_MAX) {
            members->cut = true;
            return;
        }
        (void)snprintf(path, sizeof(path), "%s/%.*s/status", members->paths->proc, (int)pid.len,
                       pid.at);
        if (tly_text_equal(pid, first)) {
            take_process(members->status, members->facts);
        } else if (pid.len > 0 && read_file(AT_FDCWD, path, &members->other) == 0) {
            take_process(tly_buf_text(&members->other), members->facts);
        } /* else it has ended */
    }
}

static void take_members(struct members *members, int folder_fd, size_t depth);

static void take_member_folder(struct members *members, int parent_fd, const char *name,
                               size_t depth)
{
    TLY_AUTO_FD fd = -1;
    if (depth == CGROUP_DEPTH_MAX || ++members->cgroups > CGROUPS_MAX) {
        members->cut = true;
    } else if (tly_file_open(parent_fd, name, O_RDONLY | O_DIRECTORY, &fd) == 0) {
        take_members(members, fd, depth + 1);
    } /* else it was removed */
}

/* A cgroup of threads alone has no list of its own (EOPNOTSUPP): its processes are in one above. */
static void take_members(struct members *members, int folder_fd, size_t depth)
{
    int fd = -1;
    int rc = read_file(folder_fd, "cgroup.procs", &members->pids);
    if (rc == 0) {
        take_pids(members);
    } else if (rc != -EOPNOTSUPP && rc != -ENODEV) { /* ENODEV: it was removed */
        members->cut = true;
    }
    DIR *dir = tly_file_open(folder_fd, ".", O_RDONLY | O_DIRECTORY, &fd) < 0 ? NULL
                                                                              : fdopendir(fd);
    if (!dir) {
        tly_fd_close(&fd);
        members->cut = true;
        return;
    }
    for (struct dirent *entry; !members->cut && (entry = readdir(dir));) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            take_member_folder(members, dirfd(dir), entry->d_name, depth);
        }
    }
    (void)closedir(dir); /* nothing was written */
}

/* Of "0::/docker/<id>/init" what leads to the container's own cgroup; {NULL, 0} for one that cannot
 * be reached from here, or is another's: that of a v2 tree without controllers is the host's. */
static struct tly_text cgroup_path(struct tly_text text, struct tly_text id)
{
    struct tly_text path = field(text, "0::");
    struct tly_text found;
    if (path.len == 0 || path.at[0] != '/' || memmem(path.at, path.len, "/..", 3)) {
        return (struct tly_text){NULL, 0};
    }
    for (struct tly_text rest = path; rest.at;) {
        struct tly_text name = tly_text_cut(&rest, '/');
        if (tly_cgroup_kind_of(name, &found) == TLY_CGROUP_CONTAINER && tly_text_equal(found, id)) {
            return (struct tly_text){path.at, (size_t)(name.at + name.len - path.at)};
        }
    }
    return (struct tly_text){NULL, 0};
}

static int open_cgroup(const struct tly_host_paths *paths, int process_fd, struct tly_text id,
                       int *ret_fd)
{
    struct tly_buf buf;
    char folder[PATH_MAX];
    tly_buf_init(&buf, FILE_BYTES_MAX);
    int rc = read_file(process_fd, "cgroup", &buf);
    struct tly_text path = rc == 0 ? cgroup_path(tly_buf_text(&buf), id)
                                   : (struct tly_text){NULL, 0};
    rc = -ENOENT;
    if (paths->cgroup && path.at && path.len < sizeof(folder) / 2) {
        (void)snprintf(folder, sizeof(folder), "%s%.*s", paths->cgroup, (int)path.len, path.at);
        rc = tly_file_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, ret_fd);
    }
    tly_buf_done(&buf);
    return rc;
}

static void take_cgroup(const struct tly_host_paths *paths, int process_fd, struct tly_text id,
                        struct tly_text status, struct tly_process_facts *facts)
{
    struct members members = {.paths = paths, .status = status, .facts = facts};
    TLY_AUTO_FD fd = -1;
    facts->memory_max = facts->pids_max = -1;
    facts->processes_seen = 0;
    tly_buf_init(&members.pids, FILE_BYTES_MAX);
    tly_buf_init(&members.other, FILE_BYTES_MAX);
    if (open_cgroup(paths, process_fd, id, &fd) == 0) {
        facts->memory_max = cgroup_limit(fd, "memory.max", &members.pids);
        facts->pids_max = cgroup_limit(fd, "pids.max", &members.pids);
        take_members(&members, fd, 0);
        facts->processes_seen = !members.cut && facts->processes > 0;
    }
    if (facts->processes == 0) {
        take_process(status, facts); /* the first one alone */
    }
    tly_buf_done(&members.pids);
    tly_buf_done(&members.other);
}

/* ---- sockets ---- */

/* An address as /proc/net writes it: 32-bit words in the byte order of the host. */
static bool is_loopback(struct tly_text address)
{
    static const char v6[] = "00000000000000000000000001000000";
    if (address.len == 8) {
        return strncasecmp(address.at + 6, "7f", 2) == 0;
    }
    if (address.len == 32) {
        return strncmp(address.at, v6, 32) == 0 ||
               (strncasecmp(address.at, "0000000000000000ffff0000", 24) == 0 &&
                strncasecmp(address.at + 30, "7f", 2) == 0);
    }
    return false;
}

static struct tly_text next_word(struct tly_text *rest)
{
    struct tly_text word = {"", 0};
    while (rest->at && word.len == 0) {
        word = tly_text_cut(rest, ' ');
    }
    return word;
}

/* Whether it listens; it is kept if others than loopback reach it. */
static bool take_socket(struct tly_text line, bool udp, struct tly_process_facts *facts)
{
    (void)next_word(&line); /* "0:" */
    struct tly_text local = next_word(&line);
    (void)next_word(&line); /* the remote address */
    struct tly_text state = next_word(&line);
    const char *wanted = udp ? "07" : "0A"; /* bound, listening */
    if (local.len == 0 || !tly_text_equal(state, tly_text_of(wanted))) {
        return false;
    }
    struct tly_text address = tly_text_cut(&local, ':');
    uint16_t port = local.at ? (uint16_t)hex(local) : 0;
    if (is_loopback(address) || port == 0 || (udp && port >= UDP_EPHEMERAL)) {
        return true;
    }
    for (size_t i = 0; i < facts->listener_count; i++) {
        if (facts->listeners[i].port == port && facts->listeners[i].udp == udp) {
            return true;
        }
    }
    if (facts->listener_count < TLY_LISTENERS_MAX) {
        facts->listeners[facts->listener_count++] = (struct tly_listener){port, udp};
    }
    return true;
}

/* "TCP: inuse 6 orphan 0 tw 577 alloc 6 mem 19": the first number is of this network alone. */
static uint64_t sockets_in_use(struct tly_text text, const char *name)
{
    struct tly_text row = field(text, name);
    uint64_t number = 0;
    if (!row.at) {
        return 0;
    }
    (void)tly_text_cut(&row, ' '); /* "inuse" */
    return row.at && tly_text_u64(tly_text_cut(&row, ' '), &number) == 0 ? number : 0;
}

int tly_process_sockets(int process_fd, struct tly_socket_counts *ret_counts)
{
    struct tly_buf buf;
    tly_buf_init(&buf, FILE_BYTES_MAX);
    struct tly_socket_counts counts = {0};
    int rc = read_file(process_fd, "net/sockstat", &buf);
    if (rc == 0) {
        counts.tcp = sockets_in_use(tly_buf_text(&buf), "TCP:");
        counts.udp = sockets_in_use(tly_buf_text(&buf), "UDP:");
    }
    /* A kernel without IPv6 has no second file. */
    if (rc == 0 && read_file(process_fd, "net/sockstat6", &buf) == 0) {
        counts.tcp6 = sockets_in_use(tly_buf_text(&buf), "TCP6:");
        counts.udp6 = sockets_in_use(tly_buf_text(&buf), "UDP6:");
    }
    tly_buf_done(&buf);
    if (rc == 0) {
        *ret_counts = counts;
    }
    return rc;
}

struct table {
    const char *name;
    bool udp;
    uint64_t sockets; /* that there are; nothing comes behind them */
};

/* One row; false when no listening socket can follow: the kernel shows those of TCP first. */
static bool take_row(struct tly_text line, const struct table *table, uint64_t *rows,
                     struct tly_process_facts *facts)
{
    bool title = tly_text_starts(tly_text_trim(line), TLY_TEXT("sl"));
    if (title) {
        return true;
    }
    ++*rows;
    bool listening = take_socket(line, table->udp, facts);
    return *rows < table->sockets && (table->udp || listening);
}

/* Not read whole: on a busy host the table has megabytes, of connections that are of no interest.
 */
static bool read_table(int process_fd, const struct table *table, struct tly_process_facts *facts)
{
    char block[TABLE_BLOCK];
    size_t held = 0;
    uint64_t rows = 0;
    TLY_AUTO_FD fd = -1;
    if (tly_file_open(process_fd, table->name, O_RDONLY, &fd) < 0) {
        return false;
    }
    for (size_t i = 0; i < TABLE_BLOCKS_MAX; i++) {
        ssize_t got = read(fd, block + held, sizeof(block) - held);
        if (got <= 0) {
            return got == 0;
        }
        struct tly_text rest = {block, held + (size_t)got};
        while (memchr(rest.at, '\n', rest.len)) {
            struct tly_text line = tly_text_cut(&rest, '\n');
            if (!take_row(line, table, &rows, facts)) {
                return true;
            }
            if (!rest.at) {
                rest = (struct tly_text){block, 0};
            }
        }
        held = rest.len < sizeof(block) ? rest.len : 0; /* no row is as long */
        memmove(block, rest.at, held);
    }
    return true;
}

void tly_process_listeners(int process_fd, const struct tly_socket_counts *counts,
                           struct tly_process_facts *facts)
{
    const struct table tables[] = {
        {"net/tcp", false, counts->tcp},
        {"net/tcp6", false, counts->tcp6},
        {"net/udp", true, counts->udp},
        {"net/udp6", true, counts->udp6},
    };
    facts->listeners_seen = 1;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (tables[i].sockets > 0 && !read_table(process_fd, &tables[i], facts)) {
            facts->listeners_seen = -1;
        }
    }
}

/* ---- all of it ---- */

void tly_process_look(const struct tly_host_paths *paths, int process_fd, struct tly_text id,
                      struct tly_process_facts *facts)
{
    struct tly_buf status;
    struct tly_buf buf;
    tly_buf_init(&status, FILE_BYTES_MAX);
    tly_buf_init(&buf, FILE_BYTES_MAX);
    *facts = (struct tly_process_facts){.seen = false};
    int rc = read_file(process_fd, "status", &status);
    if (rc < 0) {
        (void)snprintf(facts->why, sizeof(facts->why), "its status cannot be read: %s",
                       tly_error_name(rc));
    } else {
        facts->seen = true;
        take_status(tly_buf_text(&status), facts);
        take_namespaces(paths, process_fd, facts);
        facts->identity_map = read_file(process_fd, "uid_map", &buf) == 0
                                  ? is_identity(tly_buf_text(&buf))
                                  : -1;
        if (read_file(process_fd, "attr/current", &buf) == 0) {
            struct tly_text label = tly_text_trim(tly_buf_text(&buf));
            while (label.len > 0 && label.at[label.len - 1] == '\0') {
                label.len--;
            }
            (void)snprintf(facts->label, sizeof(facts->label), "%.*s", (int)label.len,
                           label.len > 0 ? label.at : "");
        }
        facts->root_read_only = facts->cgroups_writable = -1;
        bool whole = read_file(process_fd, "mountinfo", &buf) == 0 &&
                     buf.len + FILE_STEP <= FILE_BYTES_MAX;
        tly_mounts_judge(tly_buf_text(&buf), facts);
        if (!whole) {
            facts->remote_mounts.count = TLY_FACT_NAMES + 1; /* some may not be known */
        }
        facts->open_files_max = -1;
        if (read_file(process_fd, "limits", &buf) == 0) {
            take_limits(tly_buf_text(&buf), facts);
        }
        take_cgroup(paths, process_fd, id, tly_buf_text(&status), facts);
        facts->listeners_seen = -1;
    }
    tly_buf_done(&status);
    tly_buf_done(&buf);
}
