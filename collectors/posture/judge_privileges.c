/*
 * Checks of a container: privileges, capabilities, devices, and what the kernel is told to forbid.
 * What procfs shows counts more than what was asked for.
 */
#include "collectors/posture/judges.h"

#include <string.h>

static const char *const escape_paths[] = {"docker.sock", "containerd.sock", "crio.sock",
                                           "podman.sock"};

void tly_judge_privileged(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (tly_json_truth_at(facts->container, "HostConfig.Privileged") == 1) {
        tly_verdict_fail(verdict, "started with --privileged");
    } else if (tly_facts_live(facts) &&
               (facts->process->cap_effective & TLY_CAPS_ALL) == TLY_CAPS_ALL) {
        tly_verdict_fail(verdict, "not started with --privileged, but has every capability");
    } else if (tly_json_truth_at(facts->container, "HostConfig.Privileged") < 0) {
        tly_verdict_unknown(verdict, "this engine does not tell HostConfig.Privileged");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- sockets of engines ---- */

static struct tly_text last_name(struct tly_text path)
{
    const char *slash = path.len > 0 ? memrchr(path.at, '/', path.len) : NULL;
    return slash ? (struct tly_text){slash + 1, (size_t)(path.at + path.len - slash - 1)} : path;
}

static bool is_socket(struct tly_text path)
{
    for (size_t i = 0; i < sizeof(escape_paths) / sizeof(escape_paths[0]); i++) {
        if (tly_text_equal(last_name(path), tly_text_of(escape_paths[i]))) {
            return true;
        }
    }
    return false;
}

static bool holds_sockets(struct tly_text path)
{
    static const char *const folders[] = {"/",
                                          "/run",
                                          "/var",
                                          "/var/run",
                                          "/run/containerd",
                                          "/var/run/containerd",
                                          "/run/docker",
                                          "/run/podman",
                                          "/run/crio"};
    while (path.len > 1 && path.at[path.len - 1] == '/') {
        path.len--;
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (tly_text_equal(path, tly_text_of(folders[i]))) {
            return true;
        }
    }
    return false;
}

void tly_judge_docker_socket_mount(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *mounts = tly_json_at(facts->container, "Mounts");
    for (size_t i = 0; i < tly_json_count(mounts); i++) {
        const json_t *mount = tly_json_item(mounts, i);
        struct tly_text source = tly_json_text_at(mount, "Source");
        struct tly_text destination = tly_json_text_at(mount, "Destination");
        bool bind = tly_text_equal(tly_json_text_at(mount, "Type"), TLY_TEXT("bind"));
        if (is_socket(source) || is_socket(destination) || (bind && holds_sockets(source))) {
            tly_verdict_fail(verdict, "%.*s of the host is mounted at %.*s%s",
                             TLY_TEXT_ARGS(source), TLY_TEXT_ARGS(destination),
                             tly_json_truth_at(mount, "RW") == 0
                                 ? " (read-only, which does not keep it from connecting)"
                                 : "");
            return;
        }
    }
    tly_verdict_ok(verdict);
}

/* ---- what the kernel forbids ---- */

/* The option may stand alone or with a value, and the value decides. */
static bool asks_for_no_new_privileges(const struct tly_posture_facts *facts)
{
    struct tly_text value;
    if (!tly_facts_option(facts, "no-new-privileges", &value)) {
        return tly_facts_security(facts, "no-new-privileges").at != NULL;
    }
    return value.len == 0 || (strncasecmp(value.at, "true", value.len) == 0 && value.len == 4) ||
           tly_text_equal(value, TLY_TEXT("1"));
}

void tly_judge_no_new_privileges(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (tly_facts_live(facts) && facts->process->no_new_privileges >= 0) {
        if (facts->process->no_new_privileges == 0) {
            tly_verdict_fail(verdict, "the kernel lets its processes gain privileges");
        } else {
            tly_verdict_ok(verdict);
        }
    } else if (asks_for_no_new_privileges(facts)) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "no-new-privileges is not set");
    }
}

/* A profile that allows by default forbids next to nothing. */
static bool allows_by_default(struct tly_text profile)
{
    json_t *root = NULL;
    if (profile.len == 0 || profile.at[0] != '{' || tly_json_parse(profile, &root, NULL) < 0) {
        return false;
    }
    bool allows = tly_text_equal(tly_json_text_at(root, "defaultAction"),
                                 TLY_TEXT("SCMP_ACT_ALLOW"));
    tly_json_free(root);
    return allows;
}

void tly_judge_seccomp(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_text profile = TLY_TEXT("");
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    bool given = tly_facts_option(facts, "seccomp", &profile);
    bool live = tly_facts_live(facts) && facts->process->seccomp >= 0;
    if (given && tly_text_equal(profile, TLY_TEXT("unconfined"))) {
        tly_verdict_fail(verdict, "seccomp=unconfined: every system call is open");
    } else if (given && allows_by_default(profile)) {
        tly_verdict_fail(verdict, "its seccomp profile allows whatever it does not name");
    } else if (live && facts->process->seccomp != 2) {
        tly_verdict_fail(verdict, "the kernel filters no system calls of it");
    } else if (!live && tly_json_truth_at(facts->container, "HostConfig.Privileged") == 1) {
        tly_verdict_fail(verdict, "privileged, and so without a seccomp filter");
    } else if (!live && !facts->info) {
        tly_verdict_unknown(verdict, "it does not run, and the engine did not tell of seccomp");
    } else if (!live && !tly_facts_security(facts, "seccomp").at) {
        tly_verdict_fail(verdict, "the engine has no seccomp");
    } else if (!live && !given &&
               tly_text_ends(tly_facts_security(facts, "seccomp"),
                             TLY_TEXT("profile=unconfined"))) {
        tly_verdict_fail(verdict, "the engine's default profile is unconfined");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_apparmor(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict) || !tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (!tly_facts_security(facts, "apparmor").at) {
        tly_verdict_na(verdict, "the host does not use AppArmor");
        return;
    }
    bool live = tly_facts_live(facts) && facts->process->label[0] != '\0';
    struct tly_text profile = live ? tly_text_of(facts->process->label)
                                   : tly_json_text_at(facts->container, "AppArmorProfile");
    if (profile.len == 0 && !live) {
        /* Engines fill it in when they start the container. */
        struct tly_text option;
        if (tly_facts_option(facts, "apparmor", &option)) {
            profile = option;
        } else if (tly_json_truth_at(facts->container, "State.Running") != 1) {
            tly_verdict_unknown(verdict, "it has not run yet");
            return;
        }
    }
    if (profile.len == 0 || tly_text_starts(profile, TLY_TEXT("unconfined"))) {
        tly_verdict_fail(verdict, "no AppArmor profile confines it");
    } else {
        tly_verdict_pass(verdict, "confined by %.*s", TLY_TEXT_ARGS(profile));
    }
}

void tly_judge_selinux(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_text value = TLY_TEXT("");
    if (!tly_judge_has_container(facts, verdict) || !tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (!tly_facts_security(facts, "selinux").at) {
        tly_verdict_na(verdict, "the engine does not use SELinux");
        return;
    }
    struct tly_text label = tly_facts_live(facts) && facts->process->label[0]
                                ? tly_text_of(facts->process->label)
                                : tly_json_text_at(facts->container, "ProcessLabel");
    if (tly_facts_option(facts, "label", &value) && tly_text_equal(value, TLY_TEXT("disable"))) {
        tly_verdict_fail(verdict, "label=disable: SELinux does not confine it");
    } else if (label.len == 0) {
        tly_verdict_fail(verdict, "it has no SELinux label");
    } else if (memmem(label.at, label.len, ":spc_t:", 7) ||
               memmem(label.at, label.len, ":unconfined_t:", 14)) {
        tly_verdict_fail(verdict, "its label %.*s confines nothing", TLY_TEXT_ARGS(label));
    } else {
        tly_verdict_pass(verdict, "confined as %.*s", TLY_TEXT_ARGS(label));
    }
}

/* ---- capabilities ---- */

static uint64_t caps_of(const json_t *names)
{
    uint64_t caps = 0;
    for (size_t i = 0; i < tly_json_count(names); i++) {
        caps |= tly_cap_bit(tly_json_string(tly_json_item(names, i)));
    }
    return caps;
}

void tly_judge_caps_added(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    uint64_t added = caps_of(tly_json_at(facts->container, "HostConfig.CapAdd"));
    added = added == TLY_CAPS_ALL ? added : added & ~TLY_CAPS_DEFAULT;
    if (added == 0) {
        tly_verdict_ok(verdict);
    } else if (added & tly_caps_escape()) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_CRITICAL,
                            "%s added, with which one gets out of a container",
                            tly_caps_text(added).text);
    } else {
        tly_verdict_fail(verdict, "%s added", tly_caps_text(added).text);
    }
}

/* What the engine gives a container that is started like this, as its oci/caps does: added wins
 * over dropped, unless all are added, and a privileged one has all. */
static uint64_t caps_kept(const json_t *container)
{
    uint64_t dropped = caps_of(tly_json_at(container, "HostConfig.CapDrop"));
    uint64_t added = caps_of(tly_json_at(container, "HostConfig.CapAdd"));
    if (tly_json_truth_at(container, "HostConfig.Privileged") == 1) {
        return TLY_CAPS_ALL;
    }
    if (added == TLY_CAPS_ALL) {
        return dropped == TLY_CAPS_ALL ? TLY_CAPS_ALL : TLY_CAPS_ALL & ~dropped;
    }
    return (TLY_CAPS_DEFAULT & ~dropped) | added;
}

void tly_judge_caps_dropped(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const uint64_t unwanted = tly_cap_bit(TLY_TEXT("NET_RAW")) | tly_cap_bit(TLY_TEXT("MKNOD"));
    bool live = tly_facts_live(facts);
    uint64_t kept = live ? facts->process->cap_bounding : caps_kept(facts->container);
    if (kept & unwanted) {
        tly_verdict_fail(verdict, "it keeps %s", tly_caps_text(kept & unwanted).text);
    } else if (live) {
        tly_verdict_pass(verdict, "it cannot have NET_RAW and MKNOD");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_caps_effective(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict) || !tly_judge_has_process(facts, verdict)) {
        return;
    }
    const struct tly_process_facts *process = facts->process;
    uint64_t added = caps_of(tly_json_at(facts->container, "HostConfig.CapAdd"));
    uint64_t beyond = process->cap_effective & TLY_CAPS_ALL & ~(TLY_CAPS_DEFAULT | added);
    uint64_t escape = process->cap_effective & tly_caps_escape();
    /* Within a user namespace of its own its capabilities rule nothing of the host. */
    if (process->identity_map == 0 && process->shared[TLY_NS_USER] != 1) {
        tly_verdict_pass(verdict, "its capabilities hold in its own user namespace only");
    } else if (escape) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_CRITICAL,
                            "the kernel grants %s, with which one gets out of a container",
                            tly_caps_text(escape).text);
    } else if (beyond) {
        tly_verdict_fail(verdict, "the kernel grants %s, which nobody asked for",
                         tly_caps_text(beyond).text);
    } else if (process->cap_ambient) {
        tly_verdict_fail(verdict, "%s ambient: each program that it starts inherits them",
                         tly_caps_text(process->cap_ambient).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- devices ---- */

static bool is_dangerous_device(struct tly_text path)
{
    static const char *const patterns[] = {
        "/dev/mem",      "/dev/kmem",         "/dev/port",  "/dev/sd*",
        "/dev/nvme*",    "/dev/dm-*",         "/dev/vd*",   "/dev/xvd*",
        "/dev/fuse",     "/dev/loop-control", "/dev/loop*", "/dev/kvm",
        "/dev/mapper/*", "/dev/md*",          "/dev",       "/dev/"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (tly_text_glob(tly_text_of(patterns[i]), path)) {
            return true;
        }
    }
    return false;
}

void tly_judge_devices(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *devices = tly_json_at(facts->container, "HostConfig.Devices");
    struct tly_fact_names names = {0};
    bool dangerous = false;
    bool writable = false;
    for (size_t i = 0; i < tly_json_count(devices); i++) {
        const json_t *device = tly_json_item(devices, i);
        struct tly_text path = tly_json_text_at(device, "PathOnHost");
        struct tly_text rights = tly_json_text_at(device, "CgroupPermissions");
        tly_names_add(&names, path);
        dangerous = dangerous || is_dangerous_device(path);
        writable = writable || (rights.len > 0 && memchr(rights.at, 'w', rights.len));
    }
    if (names.count == 0) {
        tly_verdict_ok(verdict);
    } else if (dangerous) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_CRITICAL, "%s passed on%s",
                            tly_names_text(&names).text, writable ? ", writable" : "");
    } else if (!writable) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_MEDIUM, "%s passed on, to be read",
                            tly_names_text(&names).text);
    } else {
        tly_verdict_fail(verdict, "%s passed on, writable", tly_names_text(&names).text);
    }
}

void tly_judge_device_cgroup_rules(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *rules = tly_json_at(facts->container, "HostConfig.DeviceCgroupRules");
    struct tly_fact_names names = {0};
    bool all = false;
    for (size_t i = 0; i < tly_json_count(rules); i++) {
        struct tly_text rule = tly_json_string(tly_json_item(rules, i));
        tly_names_add(&names, rule);
        all = all || tly_text_starts(rule, TLY_TEXT("a")) ||
              (rule.len > 0 && memmem(rule.at, rule.len, "*:*", 3));
    }
    if (names.count == 0) {
        tly_verdict_ok(verdict);
    } else if (all) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_CRITICAL, "`%s` opens every device",
                            tly_names_text(&names).text);
    } else {
        tly_verdict_fail(verdict, "`%s` opens devices", tly_names_text(&names).text);
    }
}

/* ---- kernel files ---- */

/* The default list grows from release to release: a core that all of them have is asked for. */
void tly_judge_masked_paths(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    static const char *const masked[] = {"/proc/kcore", "/proc/keys", "/sys/firmware"};
    static const char *const read_only[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/bus"};
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *masked_list = tly_json_at(facts->container, "HostConfig.MaskedPaths");
    const json_t *read_only_list = tly_json_at(facts->container, "HostConfig.ReadonlyPaths");
    if (tly_json_truth_at(facts->container, "HostConfig.Privileged") == 1) {
        tly_verdict_fail(verdict, "privileged, and so nothing is masked");
        return;
    }
    if (!masked_list && !read_only_list) {
        tly_verdict_unknown(verdict, "this engine does not tell HostConfig.MaskedPaths");
        return;
    }
    for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
        if (!tly_json_has_word(masked_list, masked[i])) {
            tly_names_add(&names, tly_text_of(masked[i]));
        }
    }
    for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
        if (!tly_json_has_word(read_only_list, read_only[i])) {
            tly_names_add(&names, tly_text_of(read_only[i]));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s stand open", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_writable_cgroups(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_text value = TLY_TEXT("");
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    bool option = tly_facts_option(facts, "writable-cgroups", &value) &&
                  !tly_text_equal(value, TLY_TEXT("false"));
    if (tly_facts_live(facts) && facts->process->cgroups_writable >= 0) {
        if (facts->process->cgroups_writable) {
            tly_verdict_fail(verdict, "/sys/fs/cgroup is mounted writable in it");
        } else {
            tly_verdict_ok(verdict);
        }
    } else if (option || tly_json_truth_at(facts->container, "HostConfig.Privileged") == 1) {
        tly_verdict_fail(verdict, "it may write to cgroups");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_sysctls(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    const char *key = NULL;
    const json_t *value = NULL;
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *sysctls = tly_json_at(facts->container, "HostConfig.Sysctls");
    for (void *at = NULL; tly_json_next(sysctls, &at, &key, &value);) {
        if (!tly_text_starts(tly_text_of(key), TLY_TEXT("net."))) {
            tly_names_add(&names, tly_text_of(key));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s set", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}
