/*
 * What checks judge by. All of it is gathered before (audit.c, process.c, rootfs.c, host.c), so
 * that a check is a pure function and a test can write the facts down. A part that nobody could
 * look at is NULL, and then the checks that need it say `unknown`.
 */
#ifndef TLY_POSTURE_FACTS_H
#define TLY_POSTURE_FACTS_H

#include "agent/base/text.h"
#include "agent/codec/json.h"
#include "agent/codec/secret.h"
#include "agent/model/container.h"
#include "collectors/posture/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLY_FACT_NAME_MAX 128
#define TLY_FACT_NAMES    8  /* examples that are kept of what may be many */
#define TLY_LISTENERS_MAX 64 /* sockets of one container that are looked at */

enum tly_namespace {
    TLY_NS_PID,
    TLY_NS_IPC,
    TLY_NS_UTS,
    TLY_NS_NET,
    TLY_NS_CGROUP,
    TLY_NS_USER,
    TLY_NS_COUNT
};

/* 1 yes, 0 no, -1 could not be seen. */
typedef signed char tly_tristate;

/* A few names out of many. */
struct tly_fact_names {
    size_t count; /* of all, also those without a place in `at` */
    char at[TLY_FACT_NAMES][TLY_FACT_NAME_MAX];
};

/* Adds a name; `push` counts each, `add` only one that does not stand there yet. Cut to fit. */
void tly_names_push(struct tly_fact_names *names, struct tly_text name);
void tly_names_add(struct tly_fact_names *names, struct tly_text name);
/* Whether one of the patterns fits. */
bool tly_text_globs(const struct tly_strings *patterns, struct tly_text text);

struct tly_listener {
    uint16_t port;
    bool udp;
};

/* Of the container's running processes, from procfs: what the kernel enforces. */
struct tly_process_facts {
    bool seen;     /* false: nothing below holds, and `why` says why */
    char why[160]; /* "it does not run", ... */
    uint64_t cap_effective, cap_bounding, cap_ambient;
    int seccomp; /* proc(5): 0 off, 1 strict, 2 filter; -1 unknown */
    tly_tristate no_new_privileges;
    tly_tristate shared[TLY_NS_COUNT]; /* the namespace is the host's own */
    tly_tristate identity_map;         /* user ids inside are those of the host */
    char label[TLY_FACT_NAME_MAX];     /* of the Linux security module; "" unknown */
    tly_tristate root_read_only;
    tly_tristate cgroups_writable;
    struct tly_fact_names loose_mounts;  /* writable, without nosuid and nodev */
    struct tly_fact_names loose_tmpfs;   /* without noexec, nosuid, nodev or a size */
    struct tly_fact_names remote_mounts; /* whose server may be away, so that a look never ends */
    tly_tristate processes_seen;         /* all of the cgroup's, not the first one alone */
    size_t processes;
    struct tly_fact_names root_processes; /* effective user id 0 of the host */
    struct tly_fact_names ssh_servers;
    struct tly_fact_names privileged_groups; /* of the first process, by number */
    tly_tristate listeners_seen;
    struct tly_listener listeners[TLY_LISTENERS_MAX]; /* not on loopback */
    size_t listener_count;
    int64_t memory_max, pids_max; /* of the cgroup; INT64_MAX no limit, -1 unknown */
    int64_t open_files_max;       /* soft; INT64_MAX no limit, -1 unknown */
};

/* Of the file system that a container sees. */
struct tly_rootfs_facts {
    bool seen;
    char why[160];
    char os_id[64], os_version[64], os_name[TLY_FACT_NAME_MAX]; /* of os-release; "" without one */
    struct tly_fact_names shells, package_managers, build_tools;
    bool has_curl, has_wget;
    struct tly_fact_names open_secrets; /* secret files that others than their owner may use */
    size_t secret_files;
    bool passed_over; /* a folder or file was not looked at: it is, or may be, a remote mount's */
    struct tly_fact_names swarm_secrets; /* below /run/secrets, whatever their mode */
    tly_tristate walked;                 /* 0: cut short at a bound */
    struct tly_fact_names setuid;        /* those that posture.setuid does not expect */
    struct tly_fact_names world_writable;
};

/* One file of the host, by stat(2). */
struct tly_file_fact {
    const char *path;
    bool there, known;
    unsigned mode;
    unsigned uid, gid;
    bool loose; /* owner or mode are wider than they should be */
};
#define TLY_FILE_FACTS_MAX 24

/* Of the engine's host, beyond the API. */
struct tly_host_facts {
    bool local; /* the engine runs here, so procfs and files speak of it */
    int64_t daemon_pid;
    char daemon_why[160];      /* why daemon_pid is 0 */
    const json_t *settings;    /* daemon.json; NULL: none there, or not read */
    bool settings_known;       /* false: it may be there, and could not be read */
    struct tly_text arguments; /* of the daemon, each ended by NUL */
    tly_tristate content_trust;
    tly_tristate userland_proxy; /* a docker-proxy process runs */
    tly_tristate partition;      /* the data root is a mount of its own */
    tly_tristate api_listens;    /* something listens on 2375 */
    bool groups_known;
    struct tly_fact_names docker_group; /* members that posture.docker_group does not allow */
    struct tly_file_fact files[TLY_FILE_FACTS_MAX];
    size_t file_count;
    tly_tristate audit_known;
    struct tly_fact_names unaudited; /* paths that no audit rule names */
    int64_t kptr_restrict, dmesg_restrict, unprivileged_bpf_disabled, ptrace_scope; /* -1 unknown */
};

/* Over all containers of one look. */
struct tly_crowd_network {
    char name[TLY_FACT_NAME_MAX];
    size_t members, published;
    bool internal;
};
#define TLY_CROWD_NETWORKS_MAX 64
struct tly_crowd {
    bool whole; /* every container was looked at, not a chosen few */
    size_t containers, running, exited, unlimited;
    int64_t memory_limits_bytes;
    struct tly_crowd_network networks[TLY_CROWD_NETWORKS_MAX];
    size_t network_count;
    size_t images, images_used;
};

/* What scanners reported of an image; see the collector of vulnerability reports. */
struct tly_scan_facts {
    bool enabled; /* reports are collected at all */
    bool awaited; /* whether there is one of it was not looked for yet */
    bool scanned;
    int64_t scanned_ns;
    int64_t critical_fixable, high_fixable;
    tly_tristate end_of_life;
};

struct tly_posture_facts {
    const json_t *container; /* GET /containers/{id}/json */
    const json_t *image;     /* GET /images/{id}/json */
    const json_t *history;   /* GET /images/{id}/history */
    const json_t *execs;     /* array of GET /exec/{id}/json of what runs in the container */
    const json_t *info;      /* GET /info */
    const json_t *version;   /* GET /version */
    const json_t *bridge;    /* GET /networks/bridge */
    const json_t *swarm;     /* GET /swarm */
    struct tly_text image_reference; /* as the user wrote it, for an image */
    struct tly_text image_now;       /* the id that the container's reference names today */
    const struct tly_process_facts *process;
    const struct tly_rootfs_facts *rootfs;
    const struct tly_host_facts *host;
    const struct tly_crowd *crowd;
    const struct tly_scan_facts *scan;
    const struct tly_posture_settings *settings;
    struct tly_secret_shapes *secrets;
    int64_t now_ns; /* realtime */
};

#endif
