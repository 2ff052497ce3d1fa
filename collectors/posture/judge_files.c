/*
 * Checks of a container: mounts, file systems and files.
 */
#include "collectors/posture/judges.h"

#include <string.h>

/* ---- mounts ---- */

static struct tly_text without_slashes(struct tly_text path)
{
    while (path.len > 1 && path.at[path.len - 1] == '/') {
        path.len--;
    }
    return path;
}

static bool same_or_below(struct tly_text path, struct tly_text folder)
{
    if (!tly_text_starts(path, folder)) {
        return false;
    }
    return path.len == folder.len || (folder.len > 1 && path.at[folder.len] == '/');
}

/* Folders of which everything below is as sensitive, and "/" alone. */
static bool is_sensitive(struct tly_text source, const char *const *folders)
{
    source = without_slashes(source);
    for (size_t i = 0; folders[i]; i++) {
        if (same_or_below(source, tly_text_of(folders[i]))) {
            return true;
        }
    }
    return tly_text_glob(TLY_TEXT("/home/*/.ssh*"), source);
}

static bool is_bind(const json_t *mount)
{
    return tly_text_equal(tly_json_text_at(mount, "Type"), TLY_TEXT("bind"));
}

/* The engine itself mounts these files of its own into containers. */
static bool is_engines_own(struct tly_text destination)
{
    return tly_text_equal(destination, TLY_TEXT("/etc/resolv.conf")) ||
           tly_text_equal(destination, TLY_TEXT("/etc/hostname")) ||
           tly_text_equal(destination, TLY_TEXT("/etc/hosts"));
}

static struct tly_fact_names sensitive_sources(const json_t *container, const char *const *folders,
                                               bool writable)
{
    struct tly_fact_names names = {0};
    const json_t *mounts = tly_json_at(container, "Mounts");
    for (size_t i = 0; i < tly_json_count(mounts); i++) {
        const json_t *mount = tly_json_item(mounts, i);
        struct tly_text source = tly_json_text_at(mount, "Source");
        if (is_bind(mount) && (tly_json_truth_at(mount, "RW") != 0) == writable &&
            !is_engines_own(tly_json_text_at(mount, "Destination")) &&
            is_sensitive(source, folders)) {
            tly_names_add(&names, source);
        }
    }
    return names;
}

static void judge_sensitive(const struct tly_fact_names *names, const char *how,
                            struct tly_verdict *verdict)
{
    if (names->count > 0) {
        tly_verdict_fail(verdict, "%s of the host mounted %s", tly_names_text(names).text, how);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_sensitive_mount_rw(const struct tly_posture_facts *facts,
                                  struct tly_verdict *verdict)
{
    /* The first, logs, weighs less than the rest. */
    static const char *const folders[] = {"/var/log",
                                          "/",
                                          "/boot",
                                          "/dev",
                                          "/etc",
                                          "/lib",
                                          "/lib64",
                                          "/proc",
                                          "/sys",
                                          "/usr",
                                          "/root",
                                          "/var/lib/docker",
                                          "/var/lib/containerd",
                                          "/var/lib/kubelet",
                                          "/var/run",
                                          "/run",
                                          NULL};
    if (tly_judge_has_container(facts, verdict)) {
        struct tly_fact_names names = sensitive_sources(facts->container, folders, true);
        judge_sensitive(&names, "writable", verdict);
        if (names.count > 0 && sensitive_sources(facts->container, folders + 1, true).count == 0) {
            verdict->severity = TLY_SEVERITY_LOW;
        }
    }
}

void tly_judge_sensitive_mount_ro(const struct tly_posture_facts *facts,
                                  struct tly_verdict *verdict)
{
    static const char *const folders[] = {"/", "/etc", "/root", "/proc", "/var/lib/docker", NULL};
    if (tly_judge_has_container(facts, verdict)) {
        struct tly_fact_names names = sensitive_sources(facts->container, folders, false);
        judge_sensitive(&names, "read-only", verdict);
    }
}

void tly_judge_volumes_readonly(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *mounts = tly_json_at(facts->container, "Mounts");
    size_t count = tly_json_count(mounts);
    for (size_t i = 0; i < count; i++) {
        const json_t *mount = tly_json_item(mounts, i);
        struct tly_text destination = tly_json_text_at(mount, "Destination");
        if (tly_json_truth_at(mount, "RW") == 1 &&
            !tly_text_globs(&facts->settings->writable, destination)) {
            tly_names_add(&names, destination);
        }
    }
    if (count == 0) {
        tly_verdict_na(verdict, "it has no volumes");
    } else if (names.count > 0) {
        tly_verdict_fail(verdict, "%zu of %zu writable: %s", names.count, count,
                         tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_mount_propagation(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *mounts = tly_json_at(facts->container, "Mounts");
    for (size_t i = 0; i < tly_json_count(mounts); i++) {
        const json_t *mount = tly_json_item(mounts, i);
        struct tly_text propagation = tly_json_text_at(mount, "Propagation");
        if (tly_text_equal(propagation, TLY_TEXT("shared")) ||
            tly_text_equal(propagation, TLY_TEXT("rshared"))) {
            tly_names_add(&names, tly_json_text_at(mount, "Destination"));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "mounts below %s appear on the host",
                         tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_mount_exec_flags(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_process(facts, verdict)) {
        return;
    }
    if (facts->process->no_new_privileges == 1 &&
        !(facts->process->cap_bounding & tly_cap_bit(TLY_TEXT("MKNOD")))) {
        tly_verdict_na(verdict, "it can neither gain privileges nor make devices");
    } else if (facts->process->loose_mounts.count > 0) {
        tly_verdict_fail(verdict, "%s without nosuid,nodev",
                         tly_names_text(&facts->process->loose_mounts).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- file systems ---- */

void tly_judge_readonly_rootfs(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    tly_tristate live = tly_facts_live(facts) ? facts->process->root_read_only : -1;
    int asked = tly_json_truth_at(facts->container, "HostConfig.ReadonlyRootfs");
    if (live == 1 || (live < 0 && asked == 1)) {
        tly_verdict_ok(verdict);
    } else if (live < 0 && asked < 0) {
        tly_verdict_unknown(verdict, "this engine does not tell HostConfig.ReadonlyRootfs");
    } else {
        tly_verdict_fail(verdict, "its root file system is writable");
    }
}

/* Options of --tmpfs; Docker adds noexec, nosuid and nodev unless told otherwise. */
static bool tmpfs_is_loose(struct tly_text options)
{
    bool sized = false;
    for (struct tly_text rest = options; rest.at && rest.len > 0;) {
        struct tly_text option = tly_text_cut(&rest, ',');
        if (tly_text_equal(option, TLY_TEXT("exec")) || tly_text_equal(option, TLY_TEXT("suid")) ||
            tly_text_equal(option, TLY_TEXT("dev"))) {
            return true;
        }
        sized = sized || tly_text_starts(option, TLY_TEXT("size="));
    }
    return !sized;
}

void tly_judge_tmpfs_flags(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    const char *path = NULL;
    const json_t *options = NULL;
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *tmpfs = tly_json_at(facts->container, "HostConfig.Tmpfs");
    for (void *at = NULL; tly_json_next(tmpfs, &at, &path, &options);) {
        if (tmpfs_is_loose(tly_json_string(options))) {
            tly_names_add(&names, tly_text_of(path));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s without noexec, nosuid, nodev or size",
                         tly_names_text(&names).text);
    } else if (tly_facts_live(facts) && facts->process->loose_tmpfs.count > 0) {
        tly_verdict_fail(verdict, "%s mounted without noexec, nosuid, nodev or size",
                         tly_names_text(&facts->process->loose_tmpfs).text);
    } else if (tly_json_count(tmpfs) == 0) {
        tly_verdict_na(verdict, "it has no tmpfs");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- files ---- */

void tly_judge_secret_file_perms(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_rootfs(facts, verdict)) {
        return;
    }
    const struct tly_rootfs_facts *rootfs = facts->rootfs;
    if (rootfs->open_secrets.count > 0) {
        tly_verdict_fail(verdict, "%s may be read by others than the owner",
                         tly_names_text(&rootfs->open_secrets).text);
    } else if (rootfs->passed_over) {
        tly_verdict_unknown(verdict, "what is on file systems of other hosts is not looked at");
    } else if (rootfs->secret_files == 0) {
        tly_verdict_na(verdict, "no file that looks like a secret was found");
    } else {
        tly_verdict_pass(verdict, "%zu files, each for its owner alone", rootfs->secret_files);
    }
}

/* Variables that refer to a file: POSTGRES_PASSWORD_FILE. */
static bool has_secret_file_variable(const json_t *env)
{
    for (size_t i = 0; i < tly_json_count(env); i++) {
        struct tly_text value = tly_json_string(tly_json_item(env, i));
        struct tly_text key = value.at ? tly_text_cut(&value, '=') : value;
        if (key.len > 5 && tly_text_ends(key, TLY_TEXT("_FILE")) &&
            tly_secret_key((struct tly_text){key.at, key.len - 5})) {
            return true;
        }
    }
    return false;
}

static bool wants_password(struct tly_text image)
{
    static const char *const patterns[] = {"*postgres*", "*mysql*",  "*mariadb*", "*mongo*",
                                           "*redis*",    "*rabbit*", "*minio*"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (tly_text_glob(tly_text_of(patterns[i]), image)) {
            return true;
        }
    }
    return false;
}

void tly_judge_swarm_secrets_used(const struct tly_posture_facts *facts,
                                  struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *env = tly_json_at(facts->container, "Config.Env");
    if (facts->rootfs && facts->rootfs->seen && facts->rootfs->swarm_secrets.count > 0) {
        tly_verdict_pass(verdict, "%zu secrets are mounted", facts->rootfs->swarm_secrets.count);
    } else if (has_secret_file_variable(env)) {
        tly_verdict_pass(verdict, "its environment names files of secrets");
    } else if (!wants_password(tly_json_text_at(facts->container, "Config.Image"))) {
        tly_verdict_na(verdict, "no image of a database or the like");
    } else {
        tly_verdict_fail(verdict, "a database that gets no secret as a file");
    }
}
