/*
 * Checks of the engine, by what it tells of itself, its command line and daemon.json.
 */
#include "collectors/posture/judges.h"

#include "agent/codec/engine_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPRAWL_CONTAINERS 25

static bool equals(struct tly_text text, const char *word)
{
    return tly_text_equal(text, tly_text_of(word));
}

/* A setting that must not be `bad`; unknown while daemon.json could not be read. */
static void judge_setting(const struct tly_posture_facts *facts, struct tly_verdict *verdict,
                          const char *key, const char *bad)
{
    struct tly_text value = tly_facts_daemon(facts, key);
    if (value.at) {
        bool fails = bad ? equals(value, bad) : value.len > 0;
        if (fails) {
            tly_verdict_fail(verdict, "%s is %.*s", key, TLY_TEXT_ARGS(value));
        } else {
            tly_verdict_pass(verdict, "%s is %.*s", key, TLY_TEXT_ARGS(value));
        }
    } else if (!tly_judge_has_host(facts, verdict) || !facts->host) {
        return;
    } else if (!facts->host->settings_known) {
        tly_verdict_unknown(verdict, "daemon.json could not be read");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_engine_rootless(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (tly_facts_security(facts, "rootless").at) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "the engine runs as root");
    }
}

void tly_judge_icc(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->bridge) {
        tly_verdict_unknown(verdict, "the engine did not tell: no GET /networks/bridge");
        return;
    }
    if (tly_json_count(facts->bridge) == 0) {
        tly_verdict_na(verdict, "there is no default network");
        return;
    }
    const json_t *options = tly_json_at(facts->bridge, "Options");
    struct tly_text icc = tly_json_text(options, "com.docker.network.bridge.enable_icc");
    if (equals(icc, "false")) {
        tly_verdict_ok(verdict);
    } else if (tly_json_count(tly_json_at(facts->bridge, "Containers")) == 0 && icc.at) {
        tly_verdict_pass(verdict, "no container is on the default network");
    } else {
        tly_verdict_fail(verdict, "containers on the default network reach each other");
    }
}

void tly_judge_engine_log_level(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_text level = tly_facts_daemon(facts, "log-level");
    if (tly_json_truth_at(facts->info, "Debug") == 1) {
        tly_verdict_fail(verdict, "the engine runs in debug mode");
    } else if (level.len > 0 && !equals(level, "info")) {
        tly_verdict_fail(verdict, "log-level is %.*s", TLY_TEXT_ARGS(level));
    } else if (level.len > 0) {
        tly_verdict_ok(verdict);
    } else if (tly_judge_has_host(facts, verdict)) {
        judge_setting(facts, verdict, "log-level", "debug");
    }
}

void tly_judge_iptables(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    judge_setting(facts, verdict, "iptables", "false");
}

void tly_judge_insecure_registries(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    const char *name = NULL;
    const json_t *index = NULL;
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    const json_t *ranges = tly_json_at(facts->info, "RegistryConfig.InsecureRegistryCIDRs");
    for (size_t i = 0; i < tly_json_count(ranges); i++) {
        struct tly_text range = tly_json_string(tly_json_item(ranges, i));
        if (!tly_text_starts(range, TLY_TEXT("127.")) && !tly_text_starts(range, TLY_TEXT("::1"))) {
            tly_names_add(&names, range);
        }
    }
    const json_t *indexes = tly_json_at(facts->info, "RegistryConfig.IndexConfigs");
    for (void *at = NULL; tly_json_next(indexes, &at, &name, &index);) {
        if (tly_json_truth_at(index, "Secure") == 0) {
            tly_names_add(&names, tly_text_of(name));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s without TLS", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_storage_driver(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    struct tly_text driver = tly_json_text_at(facts->info, "Driver");
    if (equals(driver, "aufs") || equals(driver, "devicemapper") || equals(driver, "vfs")) {
        tly_verdict_fail(verdict, "storage driver %.*s", TLY_TEXT_ARGS(driver));
    } else {
        tly_verdict_pass(verdict, "storage driver %.*s", TLY_TEXT_ARGS(driver));
    }
}

void tly_judge_api_tcp_tls(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    const json_t *warnings = tly_json_at(facts->info, "Warnings");
    for (size_t i = 0; i < tly_json_count(warnings); i++) {
        struct tly_text warning = tly_json_string(tly_json_item(warnings, i));
        if (warning.len > 0 &&
            (memmem(warning.at, warning.len, "API is accessible on http://", 28) ||
             memmem(warning.at, warning.len, "without TLS client verification", 31))) {
            tly_verdict_fail(verdict, "the engine itself warns: its API is open on the network");
            return;
        }
    }
    if (facts->host && facts->host->local && facts->host->api_listens == 1) {
        tly_verdict_fail(verdict, "something listens on port 2375 of the host");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_default_ulimits(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_host(facts, verdict)) {
        return;
    }
    if (tly_facts_daemon(facts, "default-ulimit").at ||
        tly_json_count(tly_json_at(facts->host->settings, "default-ulimits")) > 0) {
        tly_verdict_ok(verdict);
    } else if (!facts->host->settings_known) {
        tly_verdict_unknown(verdict, "daemon.json could not be read");
    } else {
        tly_verdict_fail(verdict, "no default-ulimits");
    }
}

void tly_judge_userns_remap(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (tly_facts_security(facts, "userns").at || tly_facts_security(facts, "rootless").at) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "users of containers are users of the host");
    }
}

void tly_judge_engine_cgroup_parent(const struct tly_posture_facts *facts,
                                    struct tly_verdict *verdict)
{
    judge_setting(facts, verdict, "cgroup-parent", NULL);
}

void tly_judge_authz_plugin(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (tly_json_count(tly_json_at(facts->info, "Plugins.Authorization")) > 0) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "no authorization plugin");
    }
}

void tly_judge_engine_log_driver(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    struct tly_text driver = tly_json_text_at(facts->info, "LoggingDriver");
    bool file = equals(driver, "json-file") || equals(driver, "local");
    if (file && facts->settings->forwards) {
        tly_verdict_pass(verdict, "forwarded by this agent");
    } else if (file || equals(driver, "none") || driver.len == 0) {
        tly_verdict_fail(verdict, "log driver %.*s, and nobody forwards it", TLY_TEXT_ARGS(driver));
    } else {
        tly_verdict_pass(verdict, "log driver %.*s", TLY_TEXT_ARGS(driver));
    }
}

void tly_judge_engine_nnp(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (tly_facts_security(facts, "no-new-privileges").at ||
        equals(tly_facts_daemon(facts, "no-new-privileges"), "true")) {
        tly_verdict_ok(verdict);
    } else if (facts->host && facts->host->local && !facts->host->settings_known) {
        tly_verdict_unknown(verdict, "daemon.json could not be read");
    } else {
        tly_verdict_fail(verdict, "no-new-privileges is not the default");
    }
}

void tly_judge_live_restore(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (equals(tly_json_text_at(facts->info, "Swarm.LocalNodeState"), "active")) {
        tly_verdict_na(verdict, "not possible in swarm mode");
    } else if (tly_json_truth_at(facts->info, "LiveRestoreEnabled") == 1) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "a restart of the engine stops all containers");
    }
}

void tly_judge_userland_proxy(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (facts->host && facts->host->userland_proxy == 1) {
        tly_verdict_fail(verdict, "docker-proxy processes run");
    } else if (equals(tly_facts_daemon(facts, "userland-proxy"), "false")) {
        tly_verdict_ok(verdict);
    } else if (!tly_judge_has_host(facts, verdict) || !facts->host) {
        return;
    } else if (!facts->host->settings_known) {
        tly_verdict_unknown(verdict, "daemon.json could not be read");
    } else {
        tly_verdict_fail(verdict, "userland-proxy is on, the default");
    }
}

void tly_judge_engine_seccomp(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    struct tly_text option = tly_facts_security(facts, "seccomp");
    if (!option.at) {
        tly_verdict_fail(verdict, "the engine has no seccomp");
    } else if (memmem(option.at, option.len, "profile=unconfined", 18)) {
        tly_verdict_fail(verdict, "the engine's profile is unconfined");
    } else {
        tly_verdict_ok(verdict); /* "default" of old, "builtin", or a file */
    }
}

void tly_judge_experimental(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return;
    }
    if (tly_json_truth_at(facts->info, "ExperimentalBuild") == 1) {
        tly_verdict_fail(verdict, "experimental features are on");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- versions ---- */

/* The least versions without a known way out of containers (CVE-2024-21626 of runc, CVE-2024-41110
 * of the engine), for each release that still gets updates. */
#define ENGINE_MAJOR_MIN 25

static unsigned long major_of(struct tly_text version)
{
    uint64_t major = 0;
    struct tly_text rest = version;
    return version.len > 0 && tly_text_u64(tly_text_cut(&rest, '.'), &major) == 0
               ? (unsigned long)major
               : 0;
}

void tly_judge_engine_version(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_text version = tly_json_text_at(facts->version, "Version");
    version = version.at ? version : tly_json_text_at(facts->info, "ServerVersion");
    unsigned long major = major_of(version);
    struct tly_text platform = tly_json_text_at(facts->version, "Platform.Name");
    if (major == 0) {
        tly_verdict_unknown(verdict, "the engine tells no version that can be read");
    } else if (memmem(platform.at ? platform.at : "", platform.len, "Podman", 6) || major < 10) {
        tly_verdict_na(verdict, "not a Docker engine");
    } else if (major < ENGINE_MAJOR_MIN) {
        tly_verdict_fail(verdict, "version %.*s; releases before %d get no updates any more",
                         TLY_TEXT_ARGS(version), ENGINE_MAJOR_MIN);
    } else {
        tly_verdict_pass(verdict, "version %.*s", TLY_TEXT_ARGS(version));
    }
}

void tly_judge_content_trust_env(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_host(facts, verdict)) {
        return;
    }
    if (facts->host->content_trust < 0) {
        tly_verdict_unknown(verdict, "the engine's environment could not be read");
    } else if (facts->host->content_trust) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "DOCKER_CONTENT_TRUST is not set");
    }
}

/* ---- swarm ---- */

static bool in_swarm(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_info(facts, verdict)) {
        return false;
    }
    if (!equals(tly_json_text_at(facts->info, "Swarm.LocalNodeState"), "active")) {
        tly_verdict_na(verdict, "swarm mode is off");
        return false;
    }
    return true;
}

static bool is_manager(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!in_swarm(facts, verdict)) {
        return false;
    }
    if (tly_json_truth_at(facts->info, "Swarm.ControlAvailable") != 1) {
        tly_verdict_na(verdict, "this node is no manager");
        return false;
    }
    return true;
}

void tly_judge_swarm_active(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (in_swarm(facts, verdict)) {
        tly_verdict_fail(verdict, "swarm mode is on");
    } else if (facts->info) {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_swarm_managers(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    int64_t managers = 0;
    if (!is_manager(facts, verdict)) {
        return;
    }
    if (!tly_json_int_at(facts->info, "Swarm.Managers", &managers)) {
        tly_verdict_unknown(verdict, "this engine does not tell Swarm.Managers");
    } else if (managers < 3 || managers > 7 || managers % 2 == 0) {
        tly_verdict_fail(verdict, "%lld managers", (long long)managers);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_swarm_autolock(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!is_manager(facts, verdict)) {
        return;
    }
    switch (tly_json_truth_at(facts->swarm, "Spec.EncryptionConfig.AutoLockManagers")) {
    case 1:
        tly_verdict_ok(verdict);
        return;
    case 0:
        tly_verdict_fail(verdict, "managers are not locked");
        return;
    default:
        tly_verdict_unknown(verdict, "the engine did not tell: no GET /swarm");
    }
}

void tly_judge_swarm_cert_expiry(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    const int64_t day_ns = INT64_C(86400) * 1000000000;
    int64_t expiry_ns = 0;
    if (!is_manager(facts, verdict)) {
        return;
    }
    if (!tly_json_int_at(facts->swarm, "Spec.CAConfig.NodeCertExpiry", &expiry_ns)) {
        tly_verdict_unknown(verdict, "the engine did not tell: no GET /swarm");
    } else if (expiry_ns > 90 * day_ns) {
        tly_verdict_fail(verdict, "certificates live %lld days", (long long)(expiry_ns / day_ns));
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_swarm_advertise(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!in_swarm(facts, verdict)) {
        return;
    }
    struct tly_text address = tly_json_text_at(facts->info, "Swarm.NodeAddr");
    if (address.len == 0 || equals(address, "0.0.0.0") || equals(address, "::")) {
        tly_verdict_fail(verdict, "the node has no address of its own");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- what lies about ---- */

void tly_judge_image_sprawl(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->crowd || !facts->crowd->whole) {
        tly_verdict_unknown(verdict, "not all containers were looked at");
        return;
    }
    size_t images = facts->crowd->images;
    size_t unused = images > facts->crowd->images_used ? images - facts->crowd->images_used : 0;
    if (images > 3 && unused * 2 > images) {
        tly_verdict_fail(verdict, "%zu of %zu images are used by no container", unused, images);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_container_sprawl(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->crowd || !facts->crowd->whole) {
        tly_verdict_unknown(verdict, "not all containers were looked at");
    } else if (facts->crowd->exited >= SPRAWL_CONTAINERS) {
        tly_verdict_fail(verdict, "%zu stopped containers", facts->crowd->exited);
    } else {
        tly_verdict_ok(verdict);
    }
}
