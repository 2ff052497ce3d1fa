/*
 * The list of collectors and outputs: the one place that knows them by name, and where a new one is
 * added. Their order is that in which they start.
 */
#include "agent/registry.h"

#include "agent/group_settings.h"
#include "agent/judge/settings.h"
#include "agent/sandbox/settings.h"

extern const struct tly_collector tly_collector_cgroup;
extern const struct tly_collector tly_collector_disk;
extern const struct tly_collector tly_collector_docker;
extern const struct tly_collector tly_collector_logs;
extern const struct tly_collector tly_collector_machine;
extern const struct tly_collector tly_collector_network;
extern const struct tly_collector tly_collector_processes;
extern const struct tly_collector tly_collector_posture;
extern const struct tly_collector tly_collector_vulnerabilities;
extern const struct tly_collector tly_collector_receiver;
extern const struct tly_output tly_output_prometheus;
extern const struct tly_output tly_output_forward;
extern const struct tly_output tly_output_alertmanager;
extern const struct tly_output tly_output_webhook;

const struct tly_collector *const tly_collectors[] = {
    &tly_collector_cgroup,
    &tly_collector_disk,
    &tly_collector_docker,
    &tly_collector_network,
    &tly_collector_machine,
    &tly_collector_processes,
    &tly_collector_logs,
    &tly_collector_receiver,
    &tly_collector_vulnerabilities,
    &tly_collector_posture,
    NULL,
};

const struct tly_output *const tly_outputs[] = {
    &tly_output_prometheus,
    &tly_output_forward,
    &tly_output_alertmanager,
    &tly_output_webhook,
    NULL,
};

enum { CORE_SECTIONS = 9 };
enum {
    MODULES = sizeof(tly_collectors) / sizeof(tly_collectors[0]) +
              sizeof(tly_outputs) / sizeof(tly_outputs[0])
};

_Static_assert(CORE_SECTIONS + MODULES <= TLY_SECTIONS_MAX, "every section has its place");

const struct tly_section *const *tly_sections(size_t *ret_count)
{
    static const struct tly_section *sections[CORE_SECTIONS + MODULES] = {
        &tly_settings_section, &tly_docker_section, &tly_collect_section,
        &tly_group_section,    &tly_spool_section,  &tly_web_section,
        &tly_log_section,      &tly_rules_section,  &tly_sandbox_section,
    };
    static size_t count;
    if (count == 0) {
        count = CORE_SECTIONS;
        for (size_t i = 0; tly_collectors[i]; i++) {
            if (tly_collectors[i]->section) {
                sections[count++] = tly_collectors[i]->section;
            }
        }
        for (size_t i = 0; tly_outputs[i]; i++) {
            if (tly_outputs[i]->section) {
                sections[count++] = tly_outputs[i]->section;
            }
        }
    }
    *ret_count = count;
    return sections;
}
