/*
 * Checks of an image: its name, its origin, how it was built, what it is told to do.
 */
#include "collectors/posture/judges.h"

#include "agent/base/clock.h"

#include <stdio.h>
#include <string.h>

#define MEGABYTE          INT64_C(1000000)
#define SIZE_FAIL_BYTES   (1000 * MEGABYTE)
#define SIZE_WARN_BYTES   (500 * MEGABYTE)
#define LAYERS_MAX        40
#define NS_PER_DAY        (INT64_C(86400) * TLY_NS_PER_S)
#define REPRODUCIBLE_DAYS 3660 /* builds that claim 1970 or 1980 tell no age */
#define SCAN_AGE_MAX_DAYS 7

/* ---- names ---- */

/* "repo:tag@sha256:..." taken apart; parts that are absent are empty. */
struct reference {
    struct tly_text name, tag, digest;
};

static struct reference parse_reference(struct tly_text text)
{
    struct reference to = {.name = text, .tag = TLY_TEXT(""), .digest = TLY_TEXT("")};
    const char *at = text.len > 0 ? memchr(text.at, '@', text.len) : NULL;
    if (at) {
        to.digest = (struct tly_text){at + 1, (size_t)(text.at + text.len - at - 1)};
        to.name = text = (struct tly_text){text.at, (size_t)(at - text.at)};
    }
    const char *colon = text.len > 0 ? memrchr(text.at, ':', text.len) : NULL;
    /* A colon before a slash stands before a registry's port. */
    if (colon && !memchr(colon, '/', (size_t)(text.at + text.len - colon))) {
        to.tag = (struct tly_text){colon + 1, (size_t)(text.at + text.len - colon - 1)};
        to.name = (struct tly_text){text.at, (size_t)(colon - text.at)};
    }
    return to;
}

/* An image that was started by its id has no name. */
static bool is_id(struct tly_text text)
{
    if (tly_text_starts(text, TLY_TEXT("sha256:"))) {
        return true;
    }
    if (text.len != 12 && text.len != 64) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr("0123456789abcdef", text.at[i])) {
            return false;
        }
    }
    return true;
}

/* "redis" to "docker.io/library/redis". */
static void normalize(struct tly_text name, char *to, size_t cap)
{
    const char *slash = name.len > 0 ? memchr(name.at, '/', name.len) : NULL;
    struct tly_text first = {name.at, slash ? (size_t)(slash - name.at) : 0};
    bool registry = slash &&
                    (memchr(first.at, '.', first.len) || memchr(first.at, ':', first.len) ||
                     tly_text_equal(first, TLY_TEXT("localhost")));
    (void)snprintf(to, cap, "%s%.*s",
                   registry ? ""
                   : slash  ? "docker.io/"
                            : "docker.io/library/",
                   TLY_TEXT_ARGS(name)); /* cut to fit */
}

static bool has_name(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (facts->image_reference.len == 0 || is_id(facts->image_reference)) {
        tly_verdict_na(verdict, "it is known by its id alone");
        return false;
    }
    return true;
}

void tly_judge_image_pinned_digest(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (is_id(facts->image_reference) || parse_reference(facts->image_reference).digest.len > 0) {
        tly_verdict_ok(verdict);
    } else if (has_name(facts, verdict)) {
        tly_verdict_fail(verdict, "named by a tag alone");
    }
}

void tly_judge_image_tag_latest(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!has_name(facts, verdict)) {
        return;
    }
    struct reference reference = parse_reference(facts->image_reference);
    if (reference.tag.len == 0 && reference.digest.len == 0) {
        tly_verdict_fail(verdict, "no tag, which means latest");
    } else if (tly_text_equal(reference.tag, TLY_TEXT("latest")) && reference.digest.len == 0) {
        tly_verdict_fail(verdict, "tag latest");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_image_registry_allowed(const struct tly_posture_facts *facts,
                                      struct tly_verdict *verdict)
{
    char name[512];
    if (facts->settings->registries.count == 0) {
        tly_verdict_na(verdict, "posture.registries is empty");
        return;
    }
    if (!has_name(facts, verdict)) {
        return;
    }
    normalize(parse_reference(facts->image_reference).name, name, sizeof(name));
    if (tly_text_globs(&facts->settings->registries, tly_text_of(name))) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "%s fits none of posture.registries", name);
    }
}

/* Anybody can give an image any name; its digests tell from where it really came. */
static bool is_pulled_as(const json_t *image, const char *name)
{
    char pulled[512];
    const json_t *digests = tly_json_at(image, "RepoDigests");
    for (size_t i = 0; i < tly_json_count(digests); i++) {
        struct tly_text digest = tly_json_string(tly_json_item(digests, i));
        if (digest.len > 0) {
            normalize(parse_reference(digest).name, pulled, sizeof(pulled));
            if (strcmp(pulled, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

void tly_judge_image_official(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    static const char *const curated[] = {"docker.io/library/*",          "gcr.io/distroless/*",
                                          "cgr.dev/chainguard/*",         "mcr.microsoft.com/*",
                                          "registry.access.redhat.com/*", "registry.k8s.io/*"};
    char name[512];
    if (!has_name(facts, verdict)) {
        return;
    }
    normalize(parse_reference(facts->image_reference).name, name, sizeof(name));
    bool local = facts->image && !is_pulled_as(facts->image, name);
    for (size_t i = 0; !local && i < sizeof(curated) / sizeof(curated[0]); i++) {
        if (tly_text_glob(tly_text_of(curated[i]), tly_text_of(name))) {
            tly_verdict_ok(verdict);
            return;
        }
    }
    tly_verdict_fail(verdict,
                     local ? "%s was not pulled under that name" : "%s is not a curated one", name);
}

void tly_judge_image_signature_identity(const struct tly_posture_facts *facts,
                                        struct tly_verdict *verdict)
{
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    const json_t *signatures = tly_json_at(facts->image, "Identity.Signature");
    if (!tly_json_at(facts->image, "Identity")) {
        tly_verdict_na(verdict, "this engine does not tell of signatures");
        return;
    }
    for (size_t i = 0; i < tly_json_count(signatures); i++) {
        if (tly_json_text_at(tly_json_item(signatures, i), "Error").len == 0) {
            tly_verdict_pass(verdict, "signed");
            return;
        }
    }
    tly_verdict_fail(verdict, tly_json_count(signatures) > 0 ? "no signature of it is valid"
                                                             : "it has no signature");
}

void tly_judge_image_local_build(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    if (tly_json_count(tly_json_at(facts->image, "RepoDigests")) == 0) {
        tly_verdict_fail(verdict, "it has no digest of a registry");
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- age ---- */

void tly_judge_image_age(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    int64_t created_ns = 0;
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    if (tly_time_parse(tly_json_text_at(facts->image, "Created"), &created_ns) < 0) {
        tly_verdict_unknown(verdict, "its time of creation cannot be read");
        return;
    }
    int64_t days = (facts->now_ns - created_ns) / NS_PER_DAY;
    int64_t max_days = facts->settings->image_age_max_ms * TLY_NS_PER_MS / NS_PER_DAY;
    if (created_ns < REPRODUCIBLE_DAYS * NS_PER_DAY) {
        tly_verdict_na(verdict, "built reproducibly: its date tells no age");
    } else if (days > max_days) {
        tly_verdict_fail(verdict, "built %lld days ago", (long long)days);
    } else {
        tly_verdict_pass(verdict, "built %lld days ago", (long long)(days < 0 ? 0 : days));
    }
}

/* Judged for each container that runs it; the image's verdict is that of the last word on it. */
static void judge_reference_now(const struct tly_posture_facts *facts, struct tly_text id,
                                struct tly_verdict *verdict)
{
    if (facts->image_reference.len == 0 || is_id(facts->image_reference) ||
        parse_reference(facts->image_reference).digest.len > 0) {
        tly_verdict_na(verdict, "no tag that could have moved");
    } else if (facts->image_now.len == 0) {
        tly_verdict_unknown(verdict, "for which image its name stands here now is not known");
    } else if (id.len > 0 && !tly_text_equal(facts->image_now, id)) {
        tly_verdict_fail(verdict, "%.*s stands for another image by now",
                         TLY_TEXT_ARGS(facts->image_reference));
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_image_ref_mutated(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (tly_judge_has_container(facts, verdict)) {
        judge_reference_now(facts, tly_json_text_at(facts->container, "Image"), verdict);
    }
}

void tly_judge_image_stale_tag(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (tly_judge_has_image(facts, verdict)) {
        judge_reference_now(facts, tly_json_text_at(facts->image, "Id"), verdict);
    }
}

/* ---- scans ---- */

static bool looked_for_scans(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->scan || !facts->scan->enabled) {
        tly_verdict_unknown(verdict, "vulnerabilities.directory is not set: no report is read");
        return false;
    }
    if (facts->scan->awaited) {
        tly_verdict_unknown(verdict, "its reports were not looked for yet");
    }
    return !facts->scan->awaited;
}

static bool has_scan(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!looked_for_scans(facts, verdict)) {
        return false;
    }
    if (!facts->scan->scanned) {
        tly_verdict_na(verdict, "it was never scanned");
    }
    return facts->scan->scanned;
}

void tly_judge_image_scanned(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!looked_for_scans(facts, verdict)) {
        return;
    }
    if (facts->scan->scanned) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "no report is about it");
    }
}

void tly_judge_image_scan_age(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!has_scan(facts, verdict)) {
        return;
    }
    int64_t days = (facts->now_ns - facts->scan->scanned_ns) / NS_PER_DAY;
    if (days >= SCAN_AGE_MAX_DAYS) {
        tly_verdict_fail(verdict, "scanned %lld days ago", (long long)days);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_image_vulns_fixable(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (!has_scan(facts, verdict)) {
        return;
    }
    if (facts->scan->critical_fixable > 0) {
        tly_verdict_fail(verdict, "%lld critical and %lld high vulnerabilities have a fix",
                         (long long)facts->scan->critical_fixable,
                         (long long)facts->scan->high_fixable);
    } else if (facts->scan->high_fixable > 0) {
        tly_verdict_fail_as(verdict, TLY_SEVERITY_HIGH, "%lld high vulnerabilities have a fix",
                            (long long)facts->scan->high_fixable);
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- how it was built ---- */

static bool has_history(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->history) {
        tly_verdict_unknown(verdict, "the engine did not tell: no GET /images/{id}/history");
    }
    return facts->history != NULL;
}

static struct tly_text layer_command(const struct tly_posture_facts *facts, size_t i)
{
    return tly_json_text_at(tly_json_item(facts->history, i), "CreatedBy");
}

/* Without "/bin/sh -c #(nop) " and "|1 ARG=x /bin/sh -c ". */
static struct tly_text instruction(struct tly_text command)
{
    static const char nop[] = "#(nop)";
    const char *at = command.len > 0 ? memmem(command.at, command.len, nop, sizeof(nop) - 1) : NULL;
    if (at) {
        at += sizeof(nop) - 1;
        command = (struct tly_text){at, (size_t)(command.at + command.len - at)};
    }
    return tly_text_trim(command);
}

static bool holds(struct tly_text text, const char *part)
{
    return text.len > 0 && memmem(text.at, text.len, part, strlen(part)) != NULL;
}

void tly_judge_image_add_instruction(const struct tly_posture_facts *facts,
                                     struct tly_verdict *verdict)
{
    if (!has_history(facts, verdict)) {
        return;
    }
    size_t count = tly_json_count(facts->history);
    /* The last row is the base, whose root file system is always added. */
    for (size_t i = 0; i + 1 < count; i++) {
        struct tly_text text = instruction(layer_command(facts, i));
        if (!tly_text_starts(text, TLY_TEXT("ADD "))) {
            continue;
        }
        if (holds(text, "http://") || holds(text, "https://")) {
            tly_verdict_fail_as(verdict, TLY_SEVERITY_MEDIUM, "layer %zu: ADD from an address",
                                count - i);
        } else {
            tly_verdict_fail(verdict, "layer %zu: ADD", count - i);
        }
        return;
    }
    tly_verdict_ok(verdict);
}

void tly_judge_image_update_alone(const struct tly_posture_facts *facts,
                                  struct tly_verdict *verdict)
{
    static const char *const updates[] = {
        "apt-get update", "apt update",        "apk update",        "yum update",
        "dnf update",     "apt-get -y update", "apt-get -q update", "apt-get -qq update"};
    if (!has_history(facts, verdict)) {
        return;
    }
    size_t count = tly_json_count(facts->history);
    for (size_t i = 0; i < count; i++) {
        struct tly_text text = layer_command(facts, i);
        bool installs = holds(text, "install") || holds(text, "apk add") || holds(text, "upgrade");
        for (size_t k = 0; !installs && k < sizeof(updates) / sizeof(updates[0]); k++) {
            if (holds(text, updates[k])) {
                tly_verdict_fail(verdict, "layer %zu: %s, and nothing is installed", count - i,
                                 updates[k]);
                return;
            }
        }
    }
    tly_verdict_ok(verdict);
}

static bool pipes_to_shell(struct tly_text text)
{
    static const char *const shells[] = {"| sh",  "|sh",       "| bash",
                                         "|bash", "| sudo sh", "| sudo bash"};
    if (!holds(text, "curl ") && !holds(text, "wget ")) {
        return false;
    }
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (holds(text, shells[i])) {
            return true;
        }
    }
    return false;
}

void tly_judge_image_pkg_unverified(const struct tly_posture_facts *facts,
                                    struct tly_verdict *verdict)
{
    static const char *const options[] = {"--allow-unauthenticated", "--force-yes", "--nogpgcheck",
                                          "--no-check-certificate",  "curl -k",     "--insecure",
                                          "--allow-untrusted",       "curl -sk",    "curl -fsSLk"};
    if (!has_history(facts, verdict)) {
        return;
    }
    size_t count = tly_json_count(facts->history);
    for (size_t i = 0; i < count; i++) {
        struct tly_text text = layer_command(facts, i);
        for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
            if (holds(text, options[k])) {
                tly_verdict_fail(verdict, "layer %zu: %s", count - i, options[k]);
                return;
            }
        }
        if (pipes_to_shell(text)) {
            tly_verdict_fail(verdict, "layer %zu: a download is piped into a shell", count - i);
            return;
        }
    }
    tly_verdict_ok(verdict);
}

/* ---- what it is told to do ---- */

void tly_judge_image_healthcheck(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    const json_t *test = tly_json_at(facts->image, "Config.Healthcheck.Test");
    if (tly_text_equal(tly_json_string(tly_json_item(test, 0)), TLY_TEXT("NONE"))) {
        tly_verdict_fail(verdict, "HEALTHCHECK NONE switches off that of the base image");
    } else if (tly_json_count(test) > 0) {
        tly_verdict_ok(verdict);
    } else {
        tly_verdict_fail(verdict, "no HEALTHCHECK");
    }
}

void tly_judge_image_user_root(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    struct tly_text user = tly_json_text_at(facts->image, "Config.User");
    if (tly_user_is_root(user)) {
        tly_verdict_fail(verdict, user.len == 0 ? "no USER" : "USER is root");
    } else {
        tly_verdict_pass(verdict, "USER %.*s", TLY_TEXT_ARGS(user));
    }
}

void tly_judge_image_expose_ssh(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    if (tly_json_at(tly_json_at(facts->image, "Config.ExposedPorts"), "22/tcp")) {
        tly_verdict_fail(verdict, "EXPOSE 22");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_image_size(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    int64_t size = 0;
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    if (!tly_json_int_at(facts->image, "Size", &size)) {
        tly_verdict_unknown(verdict, "this engine does not tell Size");
    } else if (size > SIZE_FAIL_BYTES) {
        tly_verdict_fail(verdict, "%lld MB", (long long)(size / MEGABYTE));
    } else {
        tly_verdict_pass(verdict, "%lld MB%s", (long long)(size / MEGABYTE),
                         size > SIZE_WARN_BYTES ? ", which is much" : "");
    }
}

void tly_judge_image_layers(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_image(facts, verdict)) {
        return;
    }
    size_t count = tly_json_count(tly_json_at(facts->image, "RootFS.Layers"));
    if (count > LAYERS_MAX) {
        tly_verdict_fail(verdict, "%zu layers", count);
    } else {
        tly_verdict_pass(verdict, "%zu layers", count);
    }
}
