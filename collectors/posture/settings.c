/*
 * The option table of `posture`, and what it verifies. Ids of checks are verified against the table
 * of checks: a waiver for a check that there is not would waive nothing, and nobody would notice.
 */
#include "collectors/posture/settings.h"

#include "agent/base/clock.h"
#include "agent/config/nearest.h"
#include "collectors/posture/check.h"

#include <errno.h>
#include <stdio.h>

#define SECOND_MS (INT64_C(1000))
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS    (24 * 60 * MINUTE_MS)

int tly_waiver_end(const char *expires, int64_t *ret_end_ns)
{
    char text[TLY_TIME_TEXT_MAX];
    int64_t ns = 0;
    int len = snprintf(text, sizeof(text), "%sT23:59:59.999999999Z", expires);
    if (len < 0 || (size_t)len >= sizeof(text) || tly_time_parse(tly_text_of(text), &ns) < 0) {
        return TLY_E_MALFORMED;
    }
    *ret_end_ns = ns;
    return 0;
}

static int verify_date(const char *value, struct tly_error *err)
{
    int64_t end_ns = 0;
    return tly_waiver_end(value, &end_ns) == 0
               ? 0
               : tly_error_set(err, -EINVAL, "`%.40s` is no date; write it like 2026-12-31", value);
}

static int verify_check(const char *value, struct tly_error *err)
{
    struct tly_text pattern = tly_text_of(value);
    struct tly_nearest nearest;
    tly_nearest_init(&nearest, pattern);
    for (size_t i = 0; i < TLY_POSTURE_COUNT; i++) {
        if (tly_text_glob(pattern, tly_text_of(tly_posture_checks[i].id))) {
            return 0;
        }
        tly_nearest_try(&nearest, tly_posture_checks[i].id);
    }
    return nearest.name
               ? tly_error_set(err, -EINVAL, "no check is named `%.60s`, did you mean `%s`?", value,
                               nearest.name)
               : tly_error_set(err, -EINVAL,
                               "no check is named `%.60s`; docs/posture.md lists them", value);
}

static int verify_filled(const char *value, struct tly_error *err)
{
    return *value ? 0 : tly_error_set(err, -EINVAL, "an empty text fits nothing; remove it");
}

#define WAIVER_OFFSET(member) offsetof(struct tly_waiver_settings, member)

static const struct tly_option waiver_rows[] = {
    {.key = "checks",
     .type = TLY_OPTION_STRINGS,
     .required = true,
     .offset = WAIVER_OFFSET(checks),
     .verify = verify_check,
     .help = "Ids of checks, as patterns with `*` and `?`."},
    {.key = "containers",
     .type = TLY_OPTION_STRINGS,
     .offset = WAIVER_OFFSET(containers),
     .verify = verify_filled,
     .help = "Names of containers, as patterns. Without it: all, images too."},
    {.key = "images",
     .type = TLY_OPTION_STRINGS,
     .offset = WAIVER_OFFSET(images),
     .verify = verify_filled,
     .help = "Images as they were given to Docker, as patterns: of containers and of themselves. "
             "Without it: all."},
    {.key = "reason",
     .type = TLY_OPTION_STRING,
     .required = true,
     .offset = WAIVER_OFFSET(reason),
     .verify = verify_filled,
     .help = "Why it may be so. It stands beside the finding."},
    {.key = "expires",
     .type = TLY_OPTION_STRING,
     .offset = WAIVER_OFFSET(expires),
     .verify = verify_date,
     .help = "The last day on which it holds, like `2026-12-31` (in UTC). Without it: no end."},
    {.key = NULL},
};

#define POSTURE_OFFSET(member) offsetof(struct tly_posture_settings, member)

static const struct tly_option posture_rows[] = {
    {.key = "enabled",
     .type = TLY_OPTION_BOOL,
     .offset = POSTURE_OFFSET(enabled),
     .fallback = "true",
     .help = "Whether `tallyman run` audits at all. `tallyman audit` always does."},
    {.key = "records",
     .type = TLY_OPTION_BOOL,
     .offset = POSTURE_OFFSET(records),
     .fallback = "true",
     .help = "Send a record, tag `tallyman.finding`, when a verdict changes. What was told is "
             "remembered in `state_dir`, so that a restart tells only what changed meanwhile."},
    {.key = "sweep",
     .type = TLY_OPTION_DURATION,
     .offset = POSTURE_OFFSET(sweep_ms),
     .fallback = "10m",
     .min = 10 * SECOND_MS,
     .max = DAY_MS,
     .help = "How often everything is judged anew, beside what events ask for."},
    {.key = "waiver_label",
     .type = TLY_OPTION_STRING,
     .offset = POSTURE_OFFSET(waiver_label),
     .fallback = "\"\"",
     .help = "A container label that holds ids of checks to waive, commas between. Empty: labels "
             "waive nothing, because who sets them is who is audited."},
    {.key = "waivers",
     .type = TLY_OPTION_LIST,
     .offset = POSTURE_OFFSET(waivers),
     .inner = waiver_rows,
     .inner_size = sizeof(struct tly_waiver_settings),
     .help = "Checks that may fail. What is waived stays to be seen, as `waived`."},
    {.key = "registries",
     .type = TLY_OPTION_STRINGS,
     .offset = POSTURE_OFFSET(registries),
     .verify = verify_filled,
     .help = "Where images may come from, as patterns over `registry/path` "
             "(`docker.io/library/*`). Without it image_registry_allowed decides nothing."},
    {.key = "docker_group",
     .type = TLY_OPTION_STRINGS,
     .offset = POSTURE_OFFSET(docker_group),
     .help = "Users that may be members of the group `docker`, which makes them root."},
    {.key = "writable",
     .type = TLY_OPTION_STRINGS,
     .offset = POSTURE_OFFSET(writable),
     .fallback = "[/data, /var/lib/*]",
     .help = "Destinations of volumes that a container may write to, as patterns."},
    {.key = "cgroup_parents",
     .type = TLY_OPTION_STRINGS,
     .offset = POSTURE_OFFSET(cgroup_parents),
     .help = "Parents of containers' cgroups that are expected, as patterns."},
    {.key = "setuid",
     .type = TLY_OPTION_STRINGS,
     .offset = POSTURE_OFFSET(setuid),
     .help = "Files with the set-user-id or set-group-id bit that are expected in images, as "
             "patterns of paths."},
    {.key = "restart_always",
     .type = TLY_OPTION_BOOL,
     .offset = POSTURE_OFFSET(restart_always),
     .fallback = "false",
     .help = "Whether the restart policies `always` and `unless-stopped` are fine; CIS asks for "
             "`on-failure` with at most 5 attempts."},
    {.key = "image_age_max",
     .type = TLY_OPTION_DURATION,
     .offset = POSTURE_OFFSET(image_age_max_ms),
     .fallback = "180d",
     .min = DAY_MS,
     .max = 3650 * DAY_MS,
     .help = "An image older than this fails image_age."},
    {.key = "inodes_max",
     .type = TLY_OPTION_INT,
     .offset = POSTURE_OFFSET(inodes_max),
     .fallback = "50000",
     .min = 100,
     .max = 10000000,
     .help = "Files of one image that are looked at for set-user-id bits, once for each image."},
    {.key = "walk_timeout",
     .type = TLY_OPTION_DURATION,
     .offset = POSTURE_OFFSET(walk_ms),
     .fallback = "2s",
     .min = 10,
     .max = MINUTE_MS,
     .help = "How long that may take for one image."},
    {.key = NULL},
};

const struct tly_section tly_posture_section = {
    .key = "posture",
    .type = TLY_OPTION_SECTION,
    .options = posture_rows,
    .size = sizeof(struct tly_posture_settings),
    .help = "The audit of containers, images and the engine; docs/posture.md lists the checks.",
};
