/*
 * The parts of an audit that audit.c (what is asked, and when) and audit_judge.c (what the worker
 * does) share. Private to them.
 */
#ifndef TLY_POSTURE_AUDIT_STATE_H
#define TLY_POSTURE_AUDIT_STATE_H

#include "agent/base/map.h"
#include "agent/codec/engine_json.h"
#include "agent/loop/fetch.h"
#include "collectors/posture/audit.h"
#include "collectors/posture/host.h"
#include "collectors/posture/process.h"
#include "collectors/posture/rootfs.h"

#define TLY_AUDIT_WAVE 16 /* containers that are looked at together */

/* An image, kept as long as a container of it is seen. */
struct tly_audit_image {
    char *id;        /* owned */
    char *reference; /* owned; as somebody wrote it; "" unknown */
    json_t *tree, *history;
    struct tly_rootfs_facts *rootfs; /* owned; NULL: nobody looked yet */
    struct tly_scan_facts scan;
    bool asked;   /* the engine told of it, or is being asked */
    bool current; /* a container of this audit has it, or it was asked for */
};

/* A container of the present wave. */
struct tly_audit_candidate {
    char *id; /* owned */
    json_t *tree;
    json_t *execs[8];
    size_t exec_count;
    bool execs_told;
    struct tly_audit_image *image; /* borrowed; NULL unknown */
    char *image_now;               /* owned; the id that its reference names today, or NULL */
};

/* What listens in a container, as long as its first process and the number of its sockets are the
 * same. */
struct tly_audit_sockets {
    int64_t pid;
    struct tly_socket_counts sockets; /* that there were */
    struct tly_listener listeners[TLY_LISTENERS_MAX];
    size_t count;
    bool seen; /* in this audit */
};

/* What the worker has and makes. Nothing else of the audit is touched by it. */
struct tly_audit_job {
    struct tly_audit *audit;
    struct tly_audit_candidate candidates[TLY_AUDIT_WAVE];
    size_t count;
    bool engine;                   /* judges images, engine and host instead */
    struct tly_subject **subjects; /* owned array */
    size_t subject_count, subject_cap;
    size_t failed; /* subjects, for want of memory */
    int64_t cpu_ns;
};

struct tly_audit {
    struct tly_audit_config config;
    const struct tly_audit_events *events;
    void *arg;
    struct tly_fetcher *fetcher;
    bool local;
    char *socket; /* owned; path of the engine's socket, or NULL */
    char *cgroup; /* owned; where cgroup2 is mounted, or NULL */
    struct tly_host_paths paths;
    struct tly_api_version version;
    struct tly_secret_shapes *secrets;
    struct tly_defer *advance;

    /* What the engine said of itself at the last whole audit. */
    json_t *info, *version_tree, *bridge, *swarm, *networks, *image_list;
    bool images_fresh; /* `image_list` was told in the audit under way */
    struct tly_crowd crowd;
    struct tly_host_look host;
    bool host_looked;
    struct tly_map *sockets; /* container id -> struct tly_audit_sockets; the worker's */
    int64_t sockets_left_ns; /* of the budget */
    struct tly_map *images;  /* id -> struct tly_audit_image */

    /* The audit under way. */
    bool running, stopping, worker_busy;
    struct tly_audit_scope scope;
    struct tly_audit_summary summary;
    int64_t started_ns;
    int stage;
    struct tly_audit_ask *asks, **asks_end; /* that wait */
    struct tly_audit_ask *under_way;
    size_t in_flight;
    char **ids; /* owned; to be looked at */
    size_t id_count, id_next;
    struct tly_audit_job job;

    void (*freed)(void *arg);
    void *freed_arg;
};

enum tly_audit_kind {
    TLY_ASK_PING,
    TLY_ASK_INFO,
    TLY_ASK_VERSION,
    TLY_ASK_BRIDGE,
    TLY_ASK_NETWORKS,
    TLY_ASK_IMAGES,
    TLY_ASK_SWARM,
    TLY_ASK_LIST,
    TLY_ASK_CONTAINER,
    TLY_ASK_EXEC,
    TLY_ASK_IMAGE,
    TLY_ASK_HISTORY,
};

/* ---- audit_ask.c ---- */

/* Adds a request to those that wait. What it is about is borrowed until its stage is over. */
void tly_audit_ask(struct tly_audit *audit, enum tly_audit_kind kind,
                   struct tly_audit_candidate *candidate, struct tly_audit_image *image,
                   const char *format, ...) TLY_PRINTF(5, 6);
/* Starts what may run; calls for the next stage when nothing runs or waits. */
void tly_audit_pump(struct tly_audit *audit);
void tly_audit_asks_drop(struct tly_audit *audit); /* after the fetcher was freed */
/* A name or id that can stand in a URL as it is. */
bool tly_audit_is_plain(struct tly_text text);

/* ---- audit_judge.c ---- */

/* On the worker: judges the job's candidates, or images, engine and host. */
void tly_audit_work(void *arg);

/* The facts that are the same for all. */
struct tly_posture_facts tly_audit_facts(const struct tly_audit *audit);

void tly_audit_image_free(void *arg);
/* The id that `reference` names by the list of images; NULL: none, or the list is of before the
 * image `own_id`, whose name it may be by now. */
struct tly_text tly_audit_image_now(const struct tly_audit *audit, struct tly_text reference,
                                    struct tly_text own_id);
/* Counts over the list of containers. */
void tly_audit_count_crowd(struct tly_audit *audit, const json_t *list);

#endif
