/*
 * Checks of a container: namespaces and users, and what is executed in it.
 */
#include "collectors/posture/judges.h"

#include <string.h>

#define USER_NUMBER_MIN 10000 /* below stand users of the host and of the image */

/* ---- namespaces ---- */

/* The host's own by inode, else by what was asked for. */
static void judge_namespace(const struct tly_posture_facts *facts, struct tly_verdict *verdict,
                            enum tly_namespace namespace, const char *path, const char *what)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text mode = tly_json_text_at(facts->container, path);
    tly_tristate shared = tly_facts_live(facts) ? facts->process->shared[namespace] : -1;
    if (shared == 1 || (shared < 0 && tly_text_equal(mode, TLY_TEXT("host")))) {
        tly_verdict_fail(verdict, "it uses the %s of the host", what);
    } else if (tly_text_starts(mode, TLY_TEXT("container:"))) {
        tly_verdict_pass(verdict, "it uses the %s of another container", what);
    } else if (shared < 0 && !mode.at) {
        tly_verdict_unknown(verdict, "this engine does not tell %s", path);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_host_pid(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    judge_namespace(facts, verdict, TLY_NS_PID, "HostConfig.PidMode", "process namespace");
}

void tly_judge_host_ipc(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    judge_namespace(facts, verdict, TLY_NS_IPC, "HostConfig.IpcMode", "IPC namespace");
    if (verdict->status == TLY_STATUS_PASS &&
        tly_text_equal(tly_json_text_at(facts->container, "HostConfig.IpcMode"),
                       TLY_TEXT("shareable"))) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_LOW,
                            "its IPC namespace may be joined by other containers (shareable)");
    }
}

void tly_judge_host_uts(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    judge_namespace(facts, verdict, TLY_NS_UTS, "HostConfig.UTSMode", "host name");
}

void tly_judge_host_network(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    judge_namespace(facts, verdict, TLY_NS_NET, "HostConfig.NetworkMode", "network");
}

void tly_judge_host_cgroupns(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    judge_namespace(facts, verdict, TLY_NS_CGROUP, "HostConfig.CgroupnsMode", "cgroup namespace");
    if (verdict->status == TLY_STATUS_FAIL &&
        tly_text_equal(tly_facts_security(facts, "cgroupns"), TLY_TEXT("")) &&
        tly_text_equal(tly_json_text_at(facts->info, "CgroupVersion"), TLY_TEXT("1"))) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_LOW,
                            "it uses the cgroup namespace of the host, the default on cgroup v1");
    }
}

void tly_judge_joined_namespace(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    static const char *const paths[] = {"HostConfig.NetworkMode", "HostConfig.PidMode",
                                        "HostConfig.IpcMode"};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct tly_text mode = tly_json_text_at(facts->container, paths[i]);
        if (tly_text_starts(mode, TLY_TEXT("container:"))) {
            tly_verdict_fail(verdict, "%s is %.*s", paths[i] + strlen("HostConfig."),
                             TLY_TEXT_ARGS(mode));
            return;
        }
    }
    tly_verdict_ok(verdict);
}

/* ---- user namespaces ---- */

void tly_judge_userns_host_override(const struct tly_posture_facts *facts,
                                    struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict) || !tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (!tly_facts_security(facts, "userns").at) {
        tly_verdict_na(verdict, "the engine does not remap users");
    } else if (tly_text_equal(tly_json_text_at(facts->container, "HostConfig.UsernsMode"),
                              TLY_TEXT("host"))) {
        tly_verdict_fail(verdict, "started with --userns=host");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_userns_effective(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_process(facts, verdict)) {
        return;
    }
    if (facts->process->identity_map < 0) {
        tly_verdict_unknown(verdict, "its uid_map could not be read");
    } else if (facts->process->identity_map == 1 && !tly_facts_security(facts, "rootless").at) {
        tly_verdict_fail(verdict, "user ids inside are those of the host");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- users ---- */

void tly_judge_user_nonroot(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text user = tly_json_text_at(facts->container, "Config.User");
    if (!tly_user_is_root(user)) {
        tly_verdict_pass(verdict, "user %.*s", TLY_TEXT_ARGS(user));
    } else if (user.len == 0) {
        tly_verdict_fail(verdict, "no user is configured, so it is root");
    } else {
        tly_verdict_fail(verdict, "the user is %.*s", TLY_TEXT_ARGS(user));
    }
}

void tly_judge_runtime_uid_nonroot(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (!tly_judge_has_process(facts, verdict)) {
        return;
    }
    const struct tly_process_facts *process = facts->process;
    if (process->root_processes.count > 0) {
        tly_verdict_fail(verdict, "%zu of %zu processes are root of the host: %s",
                         process->root_processes.count, process->processes,
                         tly_names_text(&process->root_processes).text);
    } else if (process->processes_seen != 1) {
        tly_verdict_unknown(verdict,
                            "its first process is not root; the others could not all be seen");
    } else {
        tly_verdict_pass(verdict, "none of %zu processes is root of the host", process->processes);
    }
}

void tly_judge_user_numeric(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    uint64_t number = 0;
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text user = tly_json_text_at(facts->container, "Config.User");
    struct tly_text rest = user;
    struct tly_text name = user.len > 0 ? tly_text_cut(&rest, ':') : user;
    if (tly_user_is_root(user)) {
        tly_verdict_na(verdict, "it is root");
    } else if (tly_text_u64(name, &number) < 0) {
        tly_verdict_fail(verdict, "the user %.*s is a name", TLY_TEXT_ARGS(name));
    } else if (number < USER_NUMBER_MIN) {
        tly_verdict_fail(verdict, "user id %.*s is below %d", TLY_TEXT_ARGS(name), USER_NUMBER_MIN);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_group_add_privileged(const struct tly_posture_facts *facts,
                                    struct tly_verdict *verdict)
{
    static const char *const groups[] = {"0", "root", "docker", "disk", "shadow", "kmem"};
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *added = tly_json_at(facts->container, "HostConfig.GroupAdd");
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (tly_json_has_word(added, groups[i])) {
            tly_names_add(&names, tly_text_of(groups[i]));
        }
    }
    for (size_t i = 0; tly_facts_live(facts) && tly_json_count(added) > 0 &&
                       i < facts->process->privileged_groups.count && i < TLY_FACT_NAMES;
         i++) {
        tly_names_add(&names, tly_text_of(facts->process->privileged_groups.at[i]));
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "group %s added", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- what is executed in it ---- */

void tly_judge_exec_privileged(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->execs) {
        tly_verdict_unknown(verdict, "the engine did not tell what is executed in it");
        return;
    }
    for (size_t i = 0; i < tly_json_count(facts->execs); i++) {
        if (tly_json_truth_at(tly_json_item(facts->execs, i), "ProcessConfig.privileged") == 1) {
            tly_verdict_fail(verdict, "a process was executed in it with --privileged");
            return;
        }
    }
    tly_verdict_ok(verdict);
}

void tly_judge_exec_root(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (!facts->execs) {
        tly_verdict_unknown(verdict, "the engine did not tell what is executed in it");
        return;
    }
    if (tly_user_is_root(tly_json_text_at(facts->container, "Config.User"))) {
        tly_verdict_na(verdict, "the container itself is root");
        return;
    }
    for (size_t i = 0; i < tly_json_count(facts->execs); i++) {
        struct tly_text user = tly_json_text_at(tly_json_item(facts->execs, i),
                                                "ProcessConfig.user");
        if (user.len > 0 && tly_user_is_root(user)) {
            tly_verdict_fail(verdict, "a process was executed in it as %.*s", TLY_TEXT_ARGS(user));
            return;
        }
    }
    tly_verdict_ok(verdict);
}

void tly_judge_sshd_running(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_process(facts, verdict)) {
        return;
    }
    const struct tly_process_facts *process = facts->process;
    if (process->ssh_servers.count > 0) {
        tly_verdict_fail(verdict, "%s runs in it", tly_names_text(&process->ssh_servers).text);
        return;
    }
    for (size_t i = 0; i < process->listener_count; i++) {
        if (process->listeners[i].port == 22 && !process->listeners[i].udp &&
            process->shared[TLY_NS_NET] == 0) {
            tly_verdict_fail(verdict, "something listens on port 22 in it");
            return;
        }
    }
    if (process->processes_seen != 1) {
        tly_verdict_unknown(verdict, "its processes could not all be seen");
    } else {
        tly_verdict_ok(verdict);
    }
}
