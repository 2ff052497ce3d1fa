/*
 * The option table of `vulnerabilities`.
 */
#include "collectors/vulnerabilities/settings.h"

#define SECOND_MS (INT64_C(1000))
#define HOUR_MS   (3600 * SECOND_MS)
#define MIB       (INT64_C(1) << 20)

#define OFFSET(member) offsetof(struct tly_vulnerabilities_settings, member)

static const struct tly_option rows[] = {
    {.key = "directory",
     .restart = true,
     .type = TLY_OPTION_PATH,
     .offset = OFFSET(directory),
     .help = "A folder with reports of Trivy, Grype or Clair 4 in JSON, `*.json`. They are told "
             "apart by their shape, read again when they change, and joined to the images of "
             "containers by digest, id, then name. Without it nothing is read."},
    {.key = "interval",
     .type = TLY_OPTION_DURATION,
     .offset = OFFSET(interval_ms),
     .fallback = "1m",
     .min = SECOND_MS,
     .max = HOUR_MS,
     .help = "How often the folder is looked at, beside changes that the kernel tells of."},
    {.key = "reports_max",
     .type = TLY_OPTION_INT,
     .offset = OFFSET(reports_max),
     .fallback = "1000",
     .min = 1,
     .max = 100000,
     .help = "Most reports that are kept; more are left out, and counted as errors."},
    {.key = "report_bytes_max",
     .type = TLY_OPTION_SIZE,
     .offset = OFFSET(report_bytes_max),
     .fallback = "256MiB",
     .min = MIB,
     .max = 16 * 1024 * MIB,
     .help = "A larger report is refused. It is read as a stream and never held in memory."},
    {.key = NULL},
};

const struct tly_section tly_vulnerabilities_section = {
    .key = "vulnerabilities",
    .type = TLY_OPTION_SECTION,
    .options = rows,
    .size = sizeof(struct tly_vulnerabilities_settings),
    .help = "What scanners found in the images of containers.",
};
