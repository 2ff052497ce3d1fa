/*
 * The option table of the disk collector.
 */
#include "collectors/disk/settings.h"

#define SECOND_MS 1000
#define DAY_MS    (24 * 60 * 60 * SECOND_MS)

static const struct tly_option rows[] = {
    {.key = "interval",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_disk_settings, interval_ms),
     .fallback = "5m",
     .min = SECOND_MS,
     .max = DAY_MS,
     .help = "How often writable layers, log files and volumes are measured anew. A round that "
             "takes longer is finished first; each size has the time of its measurement beside "
             "it."},
    {.key = "entries_per_second",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_disk_settings, entries_per_second),
     .fallback = "1000",
     .min = 10,
     .max = 1000000,
     .help = "How many files and folders are looked at per second, so that measuring never gets in "
             "the way of the host's own work: a thousand cost less than half a percent of a CPU "
             "where the file system has them in memory."},
    {.key = "entries_max",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_disk_settings, entries_max),
     .fallback = "2000000",
     .min = 100,
     .max = INT64_C(1000000000),
     .help = "Most files and folders that are looked at in one layer or volume. What was found by "
             "then is shown, marked as incomplete, and counted in tallyman_disk_walks_cut_total."},
    {.key = "memory_max",
     .type = TLY_OPTION_SIZE,
     .offset = offsetof(struct tly_disk_settings, memory_bytes_max),
     .fallback = "16MiB",
     .min = 4096,
     .max = INT64_C(1) << 30,
     .help = "Most memory for the names of folders that wait to be looked into. Beyond it folders "
             "are left out, and the size is marked as incomplete."},
    {.key = "volumes_max",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_disk_settings, volumes_max),
     .fallback = "1000",
     .min = 0,
     .max = 4000,
     .help = "Most volumes that are measured; further ones are counted in "
             "tallyman_disk_volumes_skipped. 0: none."},
    {.key = NULL},
};

const struct tly_section tly_disk_section = {
    .key = "disk",
    .type = TLY_OPTION_SECTION,
    .options = rows,
    .size = sizeof(struct tly_disk_settings),
    .help = "Sizes on disk, measured by walks in the background. They are off, and cost nothing, "
            "with `groups: {disable: [disk]}`.",
};
