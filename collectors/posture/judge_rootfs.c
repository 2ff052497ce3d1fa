/*
 * Checks of an image that look into its file system, through a container of it that runs.
 */
#include "collectors/posture/judges.h"

#include "agent/base/clock.h"

#include <string.h>

/* ---- the distribution ---- */

/* Days on which security updates ended, as the distributions announced them. */
static const struct {
    const char *id, *version; /* of os-release; the version as a pattern */
    const char *end;
} ends[] = {
    {"debian", "8", "2020-06-30"},     {"debian", "9", "2022-06-30"},
    {"debian", "10", "2024-06-30"},    {"debian", "11", "2026-08-31"},
    {"debian", "12", "2028-06-30"},    {"ubuntu", "14.04", "2019-04-30"},
    {"ubuntu", "16.04", "2021-04-30"}, {"ubuntu", "18.04", "2023-05-31"},
    {"ubuntu", "20.04", "2025-05-31"}, {"ubuntu", "22.04", "2027-04-30"},
    {"ubuntu", "23.*", "2024-07-11"},  {"alpine", "3.?", "2022-11-01"},
    {"alpine", "3.?.*", "2022-11-01"}, {"alpine", "3.10*", "2021-05-01"},
    {"alpine", "3.11*", "2021-11-01"}, {"alpine", "3.12*", "2022-05-01"},
    {"alpine", "3.13*", "2022-11-01"}, {"alpine", "3.14*", "2023-05-01"},
    {"alpine", "3.15*", "2023-11-01"}, {"alpine", "3.16*", "2024-05-23"},
    {"alpine", "3.17*", "2024-11-22"}, {"alpine", "3.18*", "2025-05-09"},
    {"alpine", "3.19*", "2025-11-01"}, {"alpine", "3.20*", "2026-04-01"},
    {"alpine", "3.21*", "2026-11-01"}, {"centos", "*", "2024-06-30"},
    {"rhel", "6*", "2020-11-30"},      {"rhel", "7*", "2024-06-30"},
    {"fedora", "3?", "2025-05-13"},    {"fedora", "40", "2025-05-13"},
    {"fedora", "41", "2025-12-15"},    {"amzn", "1", "2023-12-31"},
    {"amzn", "2018*", "2023-12-31"},
};

static const char *end_of(const struct tly_rootfs_facts *rootfs)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(ends[i].id, rootfs->os_id) == 0 &&
            tly_text_glob(tly_text_of(ends[i].version), tly_text_of(rootfs->os_version))) {
            return ends[i].end;
        }
    }
    return NULL;
}

void tly_judge_image_eol_os(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    int64_t end_ns = 0;
    if (facts->scan && facts->scan->scanned && facts->scan->end_of_life >= 0) {
        if (facts->scan->end_of_life) {
            tly_verdict_fail(verdict, "the scanner says that its distribution is at its end");
        } else {
            tly_verdict_ok(verdict);
        }
        return;
    }
    if (!tly_judge_has_rootfs(facts, verdict)) {
        return;
    }
    const struct tly_rootfs_facts *rootfs = facts->rootfs;
    const char *end = end_of(rootfs);
    if (rootfs->os_id[0] == '\0') {
        tly_verdict_na(verdict, "no distribution is in it");
    } else if (!end || tly_waiver_end(end, &end_ns) < 0) {
        tly_verdict_pass(verdict, "%s: no end is known", rootfs->os_name);
    } else if (facts->now_ns > end_ns) {
        tly_verdict_fail(verdict, "%s had its last security updates by %s", rootfs->os_name, end);
    } else {
        tly_verdict_pass(verdict, "%s, until %s", rootfs->os_name, end);
    }
}

void tly_judge_image_minimal(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    static const char *const minimal[] = {"alpine", "wolfi", "chainguard", "distroless", "busybox"};
    if (!tly_judge_has_rootfs(facts, verdict)) {
        return;
    }
    const struct tly_rootfs_facts *rootfs = facts->rootfs;
    if (rootfs->os_id[0] == '\0') {
        tly_verdict_pass(verdict, "no distribution is in it");
        return;
    }
    for (size_t i = 0; i < sizeof(minimal) / sizeof(minimal[0]); i++) {
        if (strcmp(rootfs->os_id, minimal[i]) == 0 || strcasestr(rootfs->os_name, minimal[i])) {
            tly_verdict_pass(verdict, "%s", rootfs->os_name);
            return;
        }
    }
    tly_verdict_fail(verdict, "%s", rootfs->os_name);
}

/* ---- tools ---- */

static void judge_absent(const struct tly_posture_facts *facts, struct tly_verdict *verdict,
                         const struct tly_fact_names *names)
{
    if (names->count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(names).text);
    } else {
        (void)facts;
        tly_verdict_ok(verdict);
    }
}

void tly_judge_image_has_shell(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (tly_judge_has_rootfs(facts, verdict)) {
        judge_absent(facts, verdict, &facts->rootfs->shells);
    }
}

void tly_judge_image_has_pkg_manager(const struct tly_posture_facts *facts,
                                     struct tly_verdict *verdict)
{
    if (tly_judge_has_rootfs(facts, verdict)) {
        judge_absent(facts, verdict, &facts->rootfs->package_managers);
    }
}

void tly_judge_image_build_tools(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    /* The history tells even where no container runs. */
    for (size_t i = 0; i < tly_json_count(facts->history); i++) {
        struct tly_text text = tly_json_text_at(tly_json_item(facts->history, i), "CreatedBy");
        if (text.len > 0 && memmem(text.at, text.len, "build-essential", 15)) {
            tly_verdict_fail(verdict, "layer %zu installs build-essential",
                             tly_json_count(facts->history) - i);
            return;
        }
    }
    if (tly_judge_has_rootfs(facts, verdict)) {
        judge_absent(facts, verdict, &facts->rootfs->build_tools);
    }
}

/* ---- modes ---- */

void tly_judge_setuid_files(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_rootfs(facts, verdict)) {
        return;
    }
    const struct tly_rootfs_facts *rootfs = facts->rootfs;
    if (rootfs->walked < 0) {
        tly_verdict_na(verdict, "its containers cannot gain privileges");
    } else if (rootfs->setuid.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&rootfs->setuid).text);
    } else if (rootfs->walked == 0) {
        tly_verdict_unknown(verdict, "it has more files than posture.inodes_max, or took too long");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_world_writable(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_rootfs(facts, verdict)) {
        return;
    }
    if (facts->rootfs->walked < 0) {
        tly_verdict_unknown(verdict, "its files were not walked through");
    } else if (facts->rootfs->world_writable.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&facts->rootfs->world_writable).text);
    } else if (facts->rootfs->walked == 0) {
        tly_verdict_unknown(verdict, "it has more files than posture.inodes_max, or took too long");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- what is only shown ---- */

void tly_judge_inventory(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text runtime = tly_json_text_at(facts->container, "HostConfig.Runtime");
    struct tly_text usual = tly_json_text_at(facts->info, "DefaultRuntime");
    if (runtime.len > 0 && usual.len > 0 && !tly_text_equal(runtime, usual)) {
        tly_names_add(&names, TLY_TEXT("another runtime than the default"));
    }
    if (tly_json_count(tly_json_at(facts->container, "HostConfig.DeviceRequests")) > 0) {
        tly_names_add(&names, TLY_TEXT("a GPU or the like"));
    }
    const json_t *hosts = tly_json_at(facts->container, "HostConfig.ExtraHosts");
    for (size_t i = 0; i < tly_json_count(hosts); i++) {
        struct tly_text host = tly_json_string(tly_json_item(hosts, i));
        if (host.len > 0 && memmem(host.at, host.len, "host-gateway", 12)) {
            tly_names_add(&names, TLY_TEXT("a name for the host"));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}
