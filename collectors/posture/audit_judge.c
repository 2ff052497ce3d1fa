/*
 * The worker's part of an audit: procfs, file systems, judging; and what is counted over all
 * containers. See audit_state.h.
 */
#include "collectors/posture/audit_state.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "collectors/posture/judges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t thread_cpu_ns(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0
               ? (int64_t)now.tv_sec * TLY_NS_PER_S + now.tv_nsec
               : 0;
}

struct tly_posture_facts tly_audit_facts(const struct tly_audit *audit)
{
    return (struct tly_posture_facts){
        .info = audit->info,
        .version = audit->version_tree,
        .bridge = audit->bridge,
        .swarm = audit->swarm,
        .host = audit->host_looked ? &audit->host.facts : NULL,
        .crowd = &audit->crowd,
        .settings = audit->config.settings,
        .secrets = audit->secrets,
        .now_ns = tly_clock_realtime_ns(),
    };
}

/* Whether it is kept, borrowed by the caller then. */
static bool keep(struct tly_audit_job *job, struct tly_subject *subject)
{
    if (job->subject_count == job->subject_cap) {
        size_t cap = job->subject_cap ? 2 * job->subject_cap : 64;
        struct tly_subject **more = realloc(job->subjects, cap * sizeof(struct tly_subject *));
        if (!more) {
            tly_subject_free(subject);
            job->failed++;
            return false;
        }
        job->subjects = more;
        job->subject_cap = cap;
    }
    job->subjects[job->subject_count++] = subject;
    return true;
}

static int64_t created_of(const json_t *image)
{
    int64_t created_ns = -1;
    return tly_time_parse(tly_json_text_at(image, "Created"), &created_ns) < 0 ? -1 : created_ns;
}

static void judge(struct tly_audit_job *job, enum tly_target target, struct tly_text id,
                  struct tly_text name, struct tly_text image, struct tly_text label,
                  const struct tly_posture_facts *facts)
{
    struct tly_subject *subject = NULL;
    if (tly_subject_judge(target, id, name, image, label, facts, &subject) < 0) {
        job->failed++;
        return;
    }
    if (keep(job, subject) && target == TLY_TARGET_IMAGE) {
        subject->created_ns = created_of(facts->image);
    }
}

/* ---- one container ---- */

/* What the file system shows of the image, once for each image; the walk only where set-user-id
 * files matter at all. */
static void look_at_image(struct tly_audit *audit, struct tly_audit_image *image, int root_fd,
                          const struct tly_process_facts *process)
{
    const struct tly_rootfs_limits limits = {
        .inodes_max = audit->config.settings->inodes_max,
        .walk_ms = audit->config.settings->walk_ms,
        .remote = &process->remote_mounts,
        .expected = &audit->config.settings->setuid,
    };
    if (!image->rootfs) {
        image->rootfs = calloc(1, sizeof(*image->rootfs));
        if (!image->rootfs) {
            return;
        }
        tly_rootfs_look_image(root_fd, image->rootfs);
    }
    if (process->no_new_privileges != 1 && image->rootfs->walked < 0) {
        tly_rootfs_walk(root_fd, &limits, image->rootfs);
    }
}

static void look_at_files(struct tly_audit *audit, const struct tly_audit_candidate *candidate,
                          int process_fd, const struct tly_process_facts *process,
                          struct tly_rootfs_facts *rootfs)
{
    TLY_AUTO_FD root_fd = -1;
    char folder[1024];
    struct tly_text working = tly_json_text_at(candidate->tree, "Config.WorkingDir");
    if (tly_rootfs_open(process_fd, &root_fd, rootfs->why) < 0) {
        return;
    }
    if (candidate->image) {
        look_at_image(audit, candidate->image, root_fd, process);
    }
    if (candidate->image && candidate->image->rootfs) {
        *rootfs = *candidate->image->rootfs;
    }
    (void)snprintf(folder, sizeof(folder), "%.*s",
                   (int)(working.len < sizeof(folder) ? working.len : 0),
                   working.len > 0 ? working.at : "");
    tly_rootfs_look_container(root_fd, folder, &process->remote_mounts, rootfs);
}

/* The tables of TCP sockets cost milliseconds: they are read when sockets came or went, and while
 * there is time for it. */
static void look_at_sockets(struct tly_audit *audit, struct tly_text id, int64_t pid,
                            int process_fd, struct tly_process_facts *process)
{
    struct tly_socket_counts count = {0};
    if (tly_process_sockets(process_fd, &count) < 0) {
        return;
    }
    struct tly_audit_sockets *known = tly_map_get(audit->sockets, id);
    if (count.tcp + count.tcp6 == 0) {
        tly_process_listeners(process_fd, &count, process);
        return;
    }
    bool over = audit->config.sockets_budget_ns > 0 && audit->sockets_left_ns <= 0;
    if (known && known->pid == pid &&
        (over || memcmp(&known->sockets, &count, sizeof(count)) == 0)) {
        known->seen = true;
        process->listeners_seen = 1;
        process->listener_count = known->count;
        memcpy(process->listeners, known->listeners, sizeof(known->listeners));
        return;
    }
    if (over) {
        return; /* unknown for now */
    }
    int64_t before_ns = thread_cpu_ns();
    tly_process_listeners(process_fd, &count, process);
    audit->sockets_left_ns -= thread_cpu_ns() - before_ns;
    if (!known && (known = calloc(1, sizeof(*known))) &&
        tly_map_put(audit->sockets, id, known, NULL) < 0) {
        free(known);
        known = NULL;
    }
    if (known) {
        known->seen = true;
        known->pid = process->listeners_seen == 1 ? pid : 0; /* 0: it is read again */
        known->sockets = count;
        known->count = process->listener_count;
        memcpy(known->listeners, process->listeners, sizeof(known->listeners));
    }
}

static void look_live(struct tly_audit *audit, const struct tly_audit_candidate *candidate,
                      struct tly_process_facts *process, struct tly_rootfs_facts *rootfs)
{
    TLY_AUTO_FD process_fd = -1;
    int64_t pid = 0;
    if (!audit->local) {
        (void)snprintf(process->why, sizeof(process->why), "the engine is on another host");
    } else if (!tly_json_int_at(candidate->tree, "State.Pid", &pid) ||
               tly_process_open(&audit->paths, pid, tly_text_of(candidate->id), &process_fd,
                                process->why) < 0) {
        process->seen = false; /* `why` was told, or it does not run */
    } else {
        tly_process_look(&audit->paths, process_fd, tly_text_of(candidate->id), process);
        look_at_sockets(audit, tly_text_of(candidate->id), pid, process_fd, process);
        look_at_files(audit, candidate, process_fd, process, rootfs);
        return;
    }
    if (process->why[0] == '\0') {
        (void)snprintf(process->why, sizeof(process->why), "it does not run");
    }
    (void)snprintf(rootfs->why, sizeof(rootfs->why), "%s", process->why);
}

static struct tly_text waiver_label(const struct tly_audit *audit, const json_t *container)
{
    const char *key = audit->config.settings->waiver_label;
    if (!key || !*key) {
        return (struct tly_text){"", 0};
    }
    struct tly_text value = tly_json_text(tly_json_at(container, "Config.Labels"), key);
    return value.at ? value : (struct tly_text){"", 0};
}

static struct tly_text without_slash(struct tly_text name)
{
    return name.len > 0 && name.at[0] == '/' ? (struct tly_text){name.at + 1, name.len - 1} : name;
}

static json_t *join_execs(const struct tly_audit_candidate *candidate)
{
    return tly_json_array_of(candidate->execs, candidate->exec_count);
}

static void judge_container(struct tly_audit_job *job, const struct tly_audit_candidate *candidate)
{
    struct tly_audit *audit = job->audit;
    struct tly_posture_facts facts = tly_audit_facts(audit);
    struct tly_process_facts process = {.seen = false};
    struct tly_rootfs_facts rootfs = {.seen = false};
    json_t *execs = candidate->execs_told ? join_execs(candidate) : NULL;
    look_live(audit, candidate, &process, &rootfs);
    struct tly_text image = tly_json_text_at(candidate->tree, "Config.Image");
    facts.container = candidate->tree;
    facts.image = candidate->image ? candidate->image->tree : NULL;
    facts.execs = execs;
    facts.process = &process;
    facts.rootfs = &rootfs;
    facts.image_reference = image.at ? image : (struct tly_text){"", 0};
    facts.image_now = tly_text_of(candidate->image_now ? candidate->image_now : "");
    judge(job, TLY_TARGET_CONTAINER, tly_text_of(candidate->id),
          without_slash(tly_json_text_at(candidate->tree, "Name")), facts.image_reference,
          waiver_label(audit, candidate->tree), &facts);
    /* The sums over limits: inspect alone tells them. */
    int64_t limit = 0;
    if (tly_json_truth_at(candidate->tree, "State.Running") == 1 &&
        audit->scope.container_count == 0) {
        if (process.seen && process.memory_max > 0 && process.memory_max < INT64_MAX) {
            limit = process.memory_max;
        } else if (!tly_json_int_at(candidate->tree, "HostConfig.Memory", &limit)) {
            limit = 0;
        }
        audit->crowd.unlimited += limit <= 0;
        audit->crowd.memory_limits_bytes += limit > 0 ? limit : 0;
    }
    tly_json_free(execs);
}

/* ---- images, engine and host ---- */

static void judge_image(struct tly_audit_job *job, struct tly_audit_image *image)
{
    struct tly_posture_facts facts = tly_audit_facts(job->audit);
    facts.image = image->tree;
    facts.history = image->history;
    facts.rootfs = image->rootfs;
    facts.scan = &image->scan;
    facts.image_reference = tly_text_of(image->reference);
    facts.image_now = tly_audit_image_now(job->audit, facts.image_reference,
                                          tly_text_of(image->id));
    judge(job, TLY_TARGET_IMAGE, tly_text_of(image->id), tly_text_of(image->reference),
          TLY_TEXT(""), TLY_TEXT(""), &facts);
}

static void judge_engine(struct tly_audit_job *job)
{
    struct tly_audit *audit = job->audit;
    struct tly_text root = tly_json_text_at(audit->info, "DockerRootDir");
    TLY_AUTO_FREE char *data_root = root.at ? tly_text_dup(root) : NULL;
    if (audit->local) {
        tly_host_look_done(&audit->host);
        tly_host_look(&audit->paths, audit->socket, data_root,
                      &audit->config.settings->docker_group, &audit->host);
        audit->host_looked = true;
    }
    struct tly_posture_facts facts = tly_audit_facts(audit);
    judge(job, TLY_TARGET_DAEMON, TLY_TEXT(""), TLY_TEXT("engine"), TLY_TEXT(""), TLY_TEXT(""),
          &facts);
    judge(job, TLY_TARGET_HOST, TLY_TEXT(""), TLY_TEXT("host"), TLY_TEXT(""), TLY_TEXT(""), &facts);
}

void tly_audit_work(void *arg)
{
    struct tly_audit_job *job = arg;
    int64_t before_ns = thread_cpu_ns();
    for (size_t i = 0; i < job->count; i++) {
        judge_container(job, &job->candidates[i]);
    }
    if (job->engine) {
        struct tly_map_entry entry;
        for (void *at = NULL; tly_map_next(job->audit->images, &at, &entry);) {
            struct tly_audit_image *image = entry.value;
            if (image->current) {
                judge_image(job, image);
            }
        }
        if (!job->audit->scope.image && job->audit->scope.container_count == 0) {
            judge_engine(job);
        }
    }
    job->cpu_ns = thread_cpu_ns() - before_ns;
}

/* ---- images by name ---- */

static bool names(const json_t *image, struct tly_text reference)
{
    static const char *const lists[] = {"RepoTags", "RepoDigests"};
    for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
        const json_t *list = tly_json_at(image, lists[k]);
        for (size_t i = 0; i < tly_json_count(list); i++) {
            struct tly_text name = tly_json_string(tly_json_item(list, i));
            if (!name.at || !reference.at) {
                continue;
            }
            /* "redis" stands for "redis:latest". */
            bool latest = name.len == reference.len + 7 && tly_text_starts(name, reference) &&
                          tly_text_ends(name, TLY_TEXT(":latest"));
            if (tly_text_equal(name, reference) || latest) {
                return true;
            }
        }
    }
    return false;
}

static bool lists(const struct tly_audit *audit, struct tly_text id)
{
    for (size_t i = 0; i < tly_json_count(audit->image_list); i++) {
        if (tly_text_equal(tly_json_text_at(tly_json_item(audit->image_list, i), "Id"), id)) {
            return true;
        }
    }
    return false;
}

struct tly_text tly_audit_image_now(const struct tly_audit *audit, struct tly_text reference,
                                    struct tly_text own_id)
{
    static const char *const prefixes[] = {"docker.io/library/", "docker.io/", "library/"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        struct tly_text prefix = tly_text_of(prefixes[i]);
        if (tly_text_starts(reference, prefix)) {
            reference = (struct tly_text){reference.at + prefix.len, reference.len - prefix.len};
            break;
        }
    }
    /* A list of now leaves images out, too: untagged ones that others are built on. */
    if (reference.len == 0 || (!audit->images_fresh && !lists(audit, own_id))) {
        return (struct tly_text){NULL, 0};
    }
    for (size_t i = 0; i < tly_json_count(audit->image_list); i++) {
        const json_t *image = tly_json_item(audit->image_list, i);
        if (names(image, reference)) {
            return tly_json_text_at(image, "Id");
        }
    }
    return (struct tly_text){NULL, 0};
}

void tly_audit_image_free(void *arg)
{
    struct tly_audit_image *image = arg;
    if (image) {
        tly_json_free(image->tree);
        tly_json_free(image->history);
        free(image->rootfs);
        free(image->id);
        free(image->reference);
        free(image);
    }
}

/* ---- over all containers ---- */

static struct tly_crowd_network *crowd_network(struct tly_crowd *crowd, const char *name)
{
    for (size_t i = 0; i < crowd->network_count; i++) {
        if (strcmp(crowd->networks[i].name, name) == 0) {
            return &crowd->networks[i];
        }
    }
    if (crowd->network_count == TLY_CROWD_NETWORKS_MAX) {
        return NULL;
    }
    struct tly_crowd_network *network = &crowd->networks[crowd->network_count++];
    *network = (struct tly_crowd_network){.members = 0};
    (void)snprintf(network->name, sizeof(network->name), "%s", name); /* cut to fit */
    return network;
}

static bool is_published(const json_t *row)
{
    const json_t *ports = tly_json_at(row, "Ports");
    for (size_t i = 0; i < tly_json_count(ports); i++) {
        if (tly_json_at(tly_json_item(ports, i), "PublicPort")) {
            return true;
        }
    }
    return false;
}

static void count_row(struct tly_crowd *crowd, const json_t *row)
{
    const char *name = NULL;
    const json_t *value = NULL;
    struct tly_text state = tly_json_text_at(row, "State");
    crowd->containers++;
    crowd->exited += tly_text_equal(state, TLY_TEXT("exited")) ||
                     tly_text_equal(state, TLY_TEXT("dead"));
    if (!tly_text_equal(state, TLY_TEXT("running"))) {
        return;
    }
    crowd->running++;
    bool published = is_published(row);
    const json_t *networks = tly_json_at(row, "NetworkSettings.Networks");
    for (void *at = NULL; tly_json_next(networks, &at, &name, &value);) {
        struct tly_crowd_network *network = crowd_network(crowd, name);
        if (network) {
            network->members++;
            network->published += published;
        }
    }
}

void tly_audit_count_crowd(struct tly_audit *audit, const json_t *list)
{
    struct tly_crowd *crowd = &audit->crowd;
    *crowd = (struct tly_crowd){.whole = true, .images = tly_json_count(audit->image_list)};
    for (size_t i = 0; i < tly_json_count(list); i++) {
        count_row(crowd, tly_json_item(list, i));
    }
    for (size_t i = 0; i < tly_json_count(audit->networks); i++) {
        const json_t *network = tly_json_item(audit->networks, i);
        struct tly_text name = tly_json_text_at(network, "Name");
        for (size_t k = 0; k < crowd->network_count; k++) {
            if (tly_text_equal(name, tly_text_of(crowd->networks[k].name))) {
                crowd->networks[k].internal = tly_json_truth_at(network, "Internal") == 1;
            }
        }
    }
}

/* ---- from a file ---- */

static int judge_text(const json_t *root, const struct tly_posture_facts *base,
                      void (*judged)(void *arg, struct tly_subject *subject), void *arg)
{
    static const struct tly_process_facts process = {.why = "read from a file"};
    static const struct tly_rootfs_facts rootfs = {.why = "read from a file"};
    struct tly_posture_facts facts = *base;
    struct tly_subject *subject = NULL;
    struct tly_text id = tly_json_text_at(root, "Id");
    int rc;
    facts.process = &process;
    facts.rootfs = &rootfs;
    if (tly_json_at(root, "HostConfig")) {
        struct tly_text image = tly_json_text_at(root, "Config.Image");
        facts.container = root;
        facts.image_reference = image.at ? image : TLY_TEXT("");
        rc = tly_subject_judge(TLY_TARGET_CONTAINER, id,
                               without_slash(tly_json_text_at(root, "Name")), facts.image_reference,
                               TLY_TEXT(""), &facts, &subject);
    } else if (tly_json_at(root, "RootFS")) {
        struct tly_text tag = tly_json_string(tly_json_item(tly_json_at(root, "RepoTags"), 0));
        facts.image = root;
        facts.image_reference = tag.at ? tag : TLY_TEXT("");
        rc = tly_subject_judge(TLY_TARGET_IMAGE, id, facts.image_reference, TLY_TEXT(""),
                               TLY_TEXT(""), &facts, &subject);
    } else {
        return TLY_E_MALFORMED;
    }
    if (rc == 0) {
        judged(arg, subject);
    }
    return rc;
}

int tly_audit_text(struct tly_text json, const struct tly_posture_settings *settings,
                   void (*judged)(void *arg, struct tly_subject *subject), void *arg,
                   struct tly_error *err)
{
    struct tly_posture_facts facts = {.settings = settings, .now_ns = tly_clock_realtime_ns()};
    json_t *root = NULL;
    int rc = tly_json_parse_any(json, &root, err);
    rc = rc < 0 ? rc : tly_secret_shapes_new(&facts.secrets, err);
    size_t count = rc < 0 ? 0 : tly_json_is_array(root) ? tly_json_count(root) : 1;
    if (rc == 0 && count == 0) {
        rc = tly_error_set(err, TLY_E_MALFORMED, "an empty array: nothing to judge");
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const json_t *item = tly_json_is_array(root) ? tly_json_item(root, i) : root;
        rc = judge_text(item, &facts, judged, arg);
        if (rc < 0) {
            (void)tly_error_set(err, rc,
                                rc == TLY_E_MALFORMED
                                    ? "item %zu is neither a container nor an image as `docker "
                                      "inspect` prints them"
                                    : "out of memory at item %zu",
                                i + 1);
        }
    }
    tly_secret_shapes_free(facts.secrets);
    tly_json_free(root);
    return rc;
}
