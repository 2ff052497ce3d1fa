/*
 * Looking at the engine's host; see host.h.
 */
#include "collectors/posture/host.h"

#include "agent/base/file.h"
#include "agent/codec/cgroup_path.h"
#include "collectors/posture/rootfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FILE_BYTES_MAX   (256 * 1024)
#define SMALL_BYTES_MAX  4096
#define PROCESSES_MAX    100000
#define RULE_FILES_MAX   64
#define DOCKER_API_PORT  2375
#define SETTINGS_DEFAULT "/etc/docker/daemon.json"

/* ---- the daemon's process ---- */

static int read_at(int dir_fd, const char *name, struct tly_buf *buf)
{
    tly_buf_clear(buf);
    return tly_file_read(dir_fd, name, buf);
}

static bool text_has(const struct tly_buf *buf, const char *part)
{
    return part && buf->len > 0 && memmem(buf->at, buf->len, part, strlen(part));
}

/* How surely a process is the daemon that is asked. */
enum likeness {
    LIKE_NOTHING,
    LIKE_NAME,      /* a daemon of this host; it may be another one */
    LIKE_ARGUMENTS, /* and it names the socket or the data root */
    LIKE_PEER,      /* the kernel says that the socket is its own */
};

struct search {
    const struct tly_host_paths *paths;
    const char *socket, *data_root;
    int64_t peer; /* the process that listens on the socket; 0 unknown */
    size_t depth; /* containers within containers in which the host's first process is */
    enum likeness best;
    size_t alike; /* candidates that are as good as the best */
    struct tly_host_look *look;
};

/* Who listens on the socket; under systemd that is systemd. 0: nobody that is seen from here. */
static int64_t peer_of(const char *socket_path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);
    if (!socket_path || strlen(socket_path) >= sizeof(name.sun_path)) {
        return 0;
    }
    (void)strcpy(name.sun_path, socket_path); /* fits */
    TLY_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
        return 0;
    }
    return peer.pid;
}

/* In how many containers, one within the other, a process is by its cgroup. */
static size_t container_depth(struct tly_text cgroups)
{
    size_t deepest = 0;
    while (cgroups.at && cgroups.len > 0) {
        struct tly_text line = tly_text_cut(&cgroups, '\n');
        size_t depth = 0;
        while (line.at) {
            struct tly_text id;
            struct tly_text name = tly_text_cut(&line, '/');
            depth += tly_cgroup_kind_of(name, &id) == TLY_CGROUP_CONTAINER;
        }
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

/* Whether a process is of a container's, not of the host's own: such a one says of itself whatever
 * it likes. An engine in a container is found as the peer, or not at all. */
static bool is_contained(const struct search *search, int process_fd)
{
    char path[PATH_MAX];
    struct stat own;
    struct stat first;
    struct tly_buf buf;
    (void)snprintf(path, sizeof(path), "%s/1/ns/pid", search->paths->proc); /* cut: not there */
    if (fstatat(process_fd, "ns/pid", &own, 0) == 0 && stat(path, &first) == 0 &&
        (own.st_ino != first.st_ino || own.st_dev != first.st_dev)) {
        return true;
    }
    tly_buf_init(&buf, SMALL_BYTES_MAX);
    bool contained = read_at(process_fd, "cgroup", &buf) < 0 ||
                     container_depth(tly_buf_text(&buf)) > search->depth;
    tly_buf_done(&buf);
    return contained;
}

static void take_daemon(struct search *search, int process_fd, int64_t pid)
{
    struct tly_host_look *look = search->look;
    struct tly_buf buf;
    tly_buf_init(&buf, SMALL_BYTES_MAX * 4);
    enum likeness like = LIKE_NOTHING;
    if (read_at(process_fd, "cmdline", &buf) == 0) {
        bool names_it = text_has(&buf, search->socket) || text_has(&buf, search->data_root);
        like = pid == search->peer                ? LIKE_PEER
               : is_contained(search, process_fd) ? LIKE_NOTHING
               : names_it                         ? LIKE_ARGUMENTS
                                                  : LIKE_NAME;
    }
    if (like > search->best) {
        search->best = like;
        search->alike = 0;
        look->facts.daemon_pid = pid;
        tly_buf_done(&look->arguments);
        look->arguments = buf;
    } else {
        tly_buf_done(&buf);
    }
    search->alike += like == search->best;
}

static size_t host_depth(const struct tly_host_paths *paths)
{
    char path[PATH_MAX];
    struct tly_buf buf;
    (void)snprintf(path, sizeof(path), "%s/1/cgroup", paths->proc); /* cut: not there */
    tly_buf_init(&buf, SMALL_BYTES_MAX);
    size_t depth = read_at(AT_FDCWD, path, &buf) == 0 ? container_depth(tly_buf_text(&buf)) : 0;
    tly_buf_done(&buf);
    return depth;
}

/* A daemon that stands for itself by its name alone is taken only if there is no other. */
static void settle_daemon(struct search *search)
{
    struct tly_host_facts *facts = &search->look->facts;
    bool doubtful = search->best == LIKE_NAME && search->alike > 1;
    if (doubtful) {
        facts->daemon_pid = 0;
        tly_buf_clear(&search->look->arguments);
    }
    facts->arguments = tly_buf_text(&search->look->arguments);
    if (facts->daemon_pid == 0) {
        (void)snprintf(facts->daemon_why, sizeof(facts->daemon_why), "%s",
                       doubtful ? "several processes are named dockerd, and none names the socket"
                                : "no process of this host named dockerd is seen from here");
    }
}

static void find_daemon(const struct tly_host_paths *paths, const char *socket,
                        const char *data_root, struct tly_host_look *look)
{
    struct search search = {.paths = paths,
                            .socket = socket,
                            .data_root = data_root,
                            .peer = peer_of(socket),
                            .depth = host_depth(paths),
                            .look = look};
    DIR *dir = opendir(paths->proc);
    struct tly_buf name;
    size_t seen = 0;
    tly_buf_init(&name, SMALL_BYTES_MAX);
    look->facts.userland_proxy = dir ? 0 : -1;
    for (struct dirent *entry; dir && seen < PROCESSES_MAX && (entry = readdir(dir));) {
        uint64_t pid = 0;
        char path[64];
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            tly_text_u64(tly_text_of(entry->d_name), &pid) < 0) {
            continue;
        }
        seen++;
        (void)snprintf(path, sizeof(path), "%" PRIu64 "/comm", pid); /* fits */
        if (read_at(dirfd(dir), path, &name) < 0) {
            continue;
        }
        struct tly_text comm = tly_text_trim(tly_buf_text(&name));
        if (tly_text_equal(comm, TLY_TEXT("docker-proxy"))) {
            look->facts.userland_proxy = 1;
        } else if (tly_text_equal(comm, TLY_TEXT("dockerd"))) {
            TLY_AUTO_FD fd = -1;
            (void)snprintf(path, sizeof(path), "%" PRIu64, pid); /* fits */
            if (tly_file_open(dirfd(dir), path, O_RDONLY | O_DIRECTORY, &fd) == 0) {
                take_daemon(&search, fd, (int64_t)pid);
            }
        }
    }
    if (dir) {
        (void)closedir(dir); /* nothing was written */
    }
    tly_buf_done(&name);
    settle_daemon(&search);
}

static int open_daemon(const struct tly_host_paths *paths, int64_t pid, int *ret_fd)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%" PRId64, paths->proc, pid);
    return tly_file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, ret_fd);
}

/* ---- settings ---- */

static void settings_path(struct tly_text arguments, char *to, size_t cap)
{
    struct tly_text flag = TLY_TEXT("--config-file");
    (void)snprintf(to, cap, "%s", SETTINGS_DEFAULT);
    while (arguments.at && arguments.len > 0) {
        struct tly_text word = tly_text_cut(&arguments, '\0');
        if (!tly_text_starts(word, flag)) {
            continue;
        }
        struct tly_text value = word.len > flag.len ? (struct tly_text){word.at + flag.len + 1,
                                                                        word.len - flag.len - 1}
                                : arguments.at      ? tly_text_cut(&arguments, '\0')
                                                    : TLY_TEXT("");
        (void)snprintf(to, cap, "%.*s", (int)(value.len < cap ? value.len : cap - 1),
                       value.len > 0 ? value.at : "");
        return;
    }
}

static void take_settings(int root_fd, struct tly_host_look *look)
{
    char path[PATH_MAX];
    struct tly_buf buf;
    settings_path(look->facts.arguments, path, sizeof(path));
    tly_buf_init(&buf, FILE_BYTES_MAX);
    int rc = tly_rootfs_read(root_fd, path, &buf);
    if (rc == 0 && tly_json_parse(tly_buf_text(&buf), &look->settings, NULL) == 0) {
        look->facts.settings = look->settings;
        look->facts.settings_known = true;
    } else {
        look->facts.settings_known = rc == -ENOENT;
    }
    tly_buf_done(&buf);
}

static void take_trust(int process_fd, int root_fd, struct tly_host_facts *facts)
{
    struct tly_buf buf;
    tly_buf_init(&buf, FILE_BYTES_MAX);
    int rc = read_at(process_fd, "environ", &buf);
    facts->content_trust = rc < 0 ? -1 : text_has(&buf, "DOCKER_CONTENT_TRUST=1");
    tly_buf_clear(&buf);
    if (facts->content_trust == 0 && tly_rootfs_read(root_fd, "/etc/environment", &buf) == 0) {
        facts->content_trust = text_has(&buf, "DOCKER_CONTENT_TRUST=1");
    }
    tly_buf_done(&buf);
}

/* ---- files ---- */

static const struct {
    const char *path;
    unsigned mode_max;
    bool group_docker; /* may belong to the group docker */
} guarded[] = {
    {"/etc/docker", 0755, false},
    {SETTINGS_DEFAULT, 0644, false},
    {"/etc/docker/certs.d", 0755, false},
    {"/etc/docker/key.json", 0600, false},
    {"/etc/default/docker", 0644, false},
    {"/etc/sysconfig/docker", 0644, false},
    {"/lib/systemd/system/docker.service", 0644, false},
    {"/lib/systemd/system/docker.socket", 0644, false},
    {"/etc/systemd/system/docker.service", 0644, false},
    {"/run/docker.sock", 0660, true},
    {"/run/containerd/containerd.sock", 0660, true},
};

static void take_file(int root_fd, const char *path, unsigned mode_max, bool group_docker,
                      unsigned docker_gid, struct tly_host_facts *facts)
{
    struct stat about;
    TLY_AUTO_FD fd = -1;
    if (facts->file_count == TLY_FILE_FACTS_MAX) {
        return;
    }
    struct tly_file_fact *file = &facts->files[facts->file_count++];
    *file = (struct tly_file_fact){.path = path};
    int rc = tly_rootfs_find(root_fd, path, &fd);
    file->known = rc == 0 || rc == -ENOENT;
    if (rc < 0 || fstat(fd, &about) < 0) {
        return;
    }
    file->there = true;
    file->mode = about.st_mode & 07777;
    file->uid = about.st_uid;
    file->gid = about.st_gid;
    bool group_fine = about.st_gid == 0 || (group_docker && about.st_gid == docker_gid);
    /* A group without rights may be any. */
    file->loose = about.st_uid != 0 || (!group_fine && (about.st_mode & 020)) ||
                  (about.st_mode & 0777 & ~mode_max);
}

/* "docker:x:998:alice,bob"; the number of the group, or 0. Names are passed over here, since few of
 * many are kept. */
static unsigned take_group(int root_fd, const struct tly_strings *expected,
                           struct tly_host_facts *facts)
{
    struct tly_buf buf;
    uint64_t gid = 0;
    tly_buf_init(&buf, FILE_BYTES_MAX);
    facts->groups_known = tly_rootfs_read(root_fd, "/etc/group", &buf) == 0;
    for (struct tly_text rest = tly_buf_text(&buf); rest.at && rest.len > 0;) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (!tly_text_starts(line, TLY_TEXT("docker:"))) {
            continue;
        }
        (void)tly_text_cut(&line, ':');
        if (line.at) {
            (void)tly_text_cut(&line, ':');
        }
        if (line.at && tly_text_u64(tly_text_cut(&line, ':'), &gid) < 0) {
            gid = 0;
        }
        while (line.at && line.len > 0) {
            struct tly_text member = tly_text_cut(&line, ',');
            if (!expected || !tly_text_globs(expected, member)) {
                tly_names_add(&facts->docker_group, member);
            }
        }
    }
    tly_buf_done(&buf);
    return (unsigned)gid;
}

static void take_partition(int root_fd, const char *data_root, struct tly_host_facts *facts)
{
    char parent[PATH_MAX];
    struct stat own;
    struct stat above;
    TLY_AUTO_FD fd = -1;
    TLY_AUTO_FD parent_fd = -1;
    facts->partition = -1;
    if (!data_root || *data_root != '/') {
        return;
    }
    (void)snprintf(parent, sizeof(parent), "%s/..", data_root);
    if (tly_rootfs_find(root_fd, data_root, &fd) == 0 &&
        tly_rootfs_find(root_fd, parent, &parent_fd) == 0 && fstat(fd, &own) == 0 &&
        fstat(parent_fd, &above) == 0) {
        facts->partition = own.st_dev != above.st_dev;
    }
}

/* ---- audit ---- */

static void read_rules(int root_fd, struct tly_buf *rules, size_t *files)
{
    TLY_AUTO_FD marker = -1;
    TLY_AUTO_FD unused = -1;
    char path[64];
    DIR *dir = NULL;
    if (tly_rootfs_find(root_fd, "/etc/audit/rules.d", &marker) == 0 &&
        tly_file_open(marker, ".", O_RDONLY | O_DIRECTORY, &unused) == 0) {
        dir = fdopendir(unused);
        unused = dir ? -1 : unused;
    }
    for (struct dirent *entry; dir && *files < RULE_FILES_MAX && (entry = readdir(dir));) {
        if (!tly_text_ends(tly_text_of(entry->d_name), TLY_TEXT(".rules"))) {
            continue;
        }
        int len = snprintf(path, sizeof(path), "/etc/audit/rules.d/%s", entry->d_name);
        if (len > 0 && (size_t)len < sizeof(path) && tly_rootfs_read(root_fd, path, rules) == 0) {
            ++*files;
        }
    }
    if (dir) {
        (void)closedir(dir); /* nothing was written */
    }
}

static void take_audit(int root_fd, struct tly_host_facts *facts)
{
    static const char *const paths[] = {"/usr/bin/dockerd", "/usr/bin/containerd", "/usr/bin/runc",
                                        "/var/lib/docker", "/etc/docker"};
    struct tly_buf rules;
    size_t files = 0;
    TLY_AUTO_FD folder = -1;
    tly_buf_init(&rules, FILE_BYTES_MAX);
    int rc = tly_rootfs_find(root_fd, "/etc/audit", &folder);
    read_rules(root_fd, &rules, &files);
    facts->audit_known = files > 0 ? 1 : rc == 0 || rc == -ENOENT ? 0 : -1;
    for (size_t i = 0; files > 0 && i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (!text_has(&rules, paths[i])) {
            tly_names_add(&facts->unaudited, tly_text_of(paths[i]));
        }
    }
    tly_buf_done(&rules);
}

/* ---- the kernel ---- */

static int64_t kernel_number(const struct tly_host_paths *paths, const char *name)
{
    char path[PATH_MAX];
    struct tly_buf buf;
    int64_t number = -1;
    (void)snprintf(path, sizeof(path), "%s/sys/%s", paths->proc, name);
    tly_buf_init(&buf, SMALL_BYTES_MAX);
    if (read_at(AT_FDCWD, path, &buf) < 0 ||
        tly_text_i64(tly_text_trim(tly_buf_text(&buf)), &number) < 0) {
        number = -1;
    }
    tly_buf_done(&buf);
    return number;
}

static void take_kernel(const struct tly_host_paths *paths, struct tly_host_facts *facts)
{
    facts->kptr_restrict = kernel_number(paths, "kernel/kptr_restrict");
    facts->dmesg_restrict = kernel_number(paths, "kernel/dmesg_restrict");
    facts->unprivileged_bpf_disabled = kernel_number(paths, "kernel/unprivileged_bpf_disabled");
    facts->ptrace_scope = kernel_number(paths, "kernel/yama/ptrace_scope");
}

/* ---- all of it ---- */

static void take_listeners(int process_fd, struct tly_host_facts *facts)
{
    struct tly_process_facts sockets = {0};
    struct tly_socket_counts counts;
    if (tly_process_sockets(process_fd, &counts) < 0) {
        return;
    }
    tly_process_listeners(process_fd, &counts, &sockets);
    facts->api_listens = sockets.listeners_seen == 1 ? 0 : -1;
    for (size_t i = 0; i < sockets.listener_count; i++) {
        if (sockets.listeners[i].port == DOCKER_API_PORT && !sockets.listeners[i].udp) {
            facts->api_listens = 1;
        }
    }
}

void tly_host_look(const struct tly_host_paths *paths, const char *socket, const char *data_root,
                   const struct tly_strings *members, struct tly_host_look *ret_look)
{
    TLY_AUTO_FD process_fd = -1;
    TLY_AUTO_FD root_fd = -1;
    struct tly_host_look *look = ret_look;
    *look = (struct tly_host_look){.facts = {.local = true,
                                             .content_trust = -1,
                                             .partition = -1,
                                             .api_listens = -1,
                                             .audit_known = -1}};
    tly_buf_init(&look->arguments, SMALL_BYTES_MAX);
    take_kernel(paths, &look->facts);
    find_daemon(paths, socket, data_root, look);
    if (look->facts.daemon_pid == 0 ||
        open_daemon(paths, look->facts.daemon_pid, &process_fd) < 0 ||
        tly_rootfs_open(process_fd, &root_fd, look->facts.daemon_why) < 0) {
        return;
    }
    take_settings(root_fd, look);
    take_trust(process_fd, root_fd, &look->facts);
    take_listeners(process_fd, &look->facts);
    unsigned docker_gid = take_group(root_fd, members, &look->facts);
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
        take_file(root_fd, guarded[i].path, guarded[i].mode_max, guarded[i].group_docker,
                  docker_gid, &look->facts);
    }
    take_partition(root_fd, data_root, &look->facts);
    take_audit(root_fd, &look->facts);
}

void tly_host_look_done(struct tly_host_look *look)
{
    tly_json_free(look->settings);
    tly_buf_done(&look->arguments);
    *look = (struct tly_host_look){0};
}
