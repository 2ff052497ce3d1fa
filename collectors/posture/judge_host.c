/*
 * Checks of the engine's host: files, groups, audit rules and the kernel.
 */
#include "collectors/posture/judges.h"

#include <stdio.h>

void tly_judge_docker_partition(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_host(facts, verdict)) {
        return;
    }
    if (facts->host->partition < 0) {
        tly_verdict_unknown(verdict, "the data root cannot be seen from here");
    } else if (facts->host->partition) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "%.*s shares a file system with the rest of the host",
                         TLY_TEXT_ARGS(tly_json_text_at(facts->info, "DockerRootDir")));
    }
}

void tly_judge_docker_group(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_host(facts, verdict)) {
        return;
    }
    const struct tly_host_facts *host = facts->host;
    if (!host->groups_known) {
        tly_verdict_unknown(verdict, "/etc/group could not be read");
    } else if (host->docker_group.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&host->docker_group).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_file_owner_mode(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    size_t there = 0;
    size_t unknown = 0;
    if (!tly_judge_has_host(facts, verdict)) {
        return;
    }
    for (size_t i = 0; i < facts->host->file_count; i++) {
        const struct tly_file_fact *file = &facts->host->files[i];
        char text[TLY_FACT_NAME_MAX];
        there += file->there;
        unknown += !file->known;
        if (file->there && file->loose) {
            (void)snprintf(text, sizeof(text), "%s %u:%u %03o", file->path, file->uid, file->gid,
                           file->mode & 07777); /* cut to fit */
            tly_names_add(&names, tly_text_of(text));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&names).text);
    } else if (there == 0 && unknown > 0) {
        tly_verdict_unknown(verdict, "the engine's files cannot be seen from here");
    } else {
        tly_verdict_pass(verdict, "%zu files and folders", there);
    }
}

void tly_judge_audit_rules(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_host(facts, verdict)) {
        return;
    }
    if (facts->host->audit_known < 0) {
        tly_verdict_unknown(verdict, "/etc/audit/rules.d cannot be read");
    } else if (facts->host->audit_known == 0) {
        tly_verdict_fail(verdict, "there are no audit rules");
    } else if (facts->host->unaudited.count > 0) {
        tly_verdict_fail(verdict, "no rule for %s", tly_names_text(&facts->host->unaudited).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_host_overcommit(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    int64_t total = 0;
    const struct tly_crowd *crowd = facts->crowd;
    if (!crowd || !crowd->whole) {
        tly_verdict_unknown(verdict, "not all containers were looked at");
        return;
    }
    if (!tly_json_int_at(facts->info, "MemTotal", &total) || total <= 0) {
        tly_verdict_unknown(verdict, "the engine does not tell the host's memory");
    } else if (crowd->unlimited > 0) {
        tly_verdict_fail(verdict, "%zu of %zu running containers have no limit of memory",
                         crowd->unlimited, crowd->running);
    } else if (crowd->memory_limits_bytes > total) {
        tly_verdict_fail(verdict, "limits add up to %lld %% of the host's memory",
                         (long long)(crowd->memory_limits_bytes / (total / 100 + 1)));
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_kernel_hardening(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_host(facts, verdict)) {
        return;
    }
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {
        {"kernel.kptr_restrict", facts->host->kptr_restrict},
        {"kernel.dmesg_restrict", facts->host->dmesg_restrict},
        {"kernel.unprivileged_bpf_disabled", facts->host->unprivileged_bpf_disabled},
        {"kernel.yama.ptrace_scope", facts->host->ptrace_scope},
    };
    size_t known = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[TLY_FACT_NAME_MAX];
        known += rows[i].value >= 0;
        if (rows[i].value == 0) {
            (void)snprintf(text, sizeof(text), "%s=0", rows[i].name);
            tly_names_add(&names, tly_text_of(text));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&names).text);
    } else if (known == 0) {
        tly_verdict_unknown(verdict, "/proc/sys/kernel cannot be read");
    } else {
        tly_verdict_ok(verdict);
    }
}
