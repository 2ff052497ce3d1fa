/*
 * The host by its files in /proc and /sys: which machine it is, what it has and what it does. Used
 * on one worker at a time.
 */
#ifndef TLY_COLLECTORS_MACHINE_MACHINE_H
#define TLY_COLLECTORS_MACHINE_MACHINE_H

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/machine.h"
#include "agent/model/group.h"
#include "agent/model/sample.h"

#include <stdint.h>

/* As long as the kernel's and systemd's ids with their ends. */
#define TLY_MACHINE_ID_BYTES 64

/* What was shown of a time that the kernel counts, in clock ticks; see use.c. */
struct tly_machine_ticks {
    int64_t top;  /* the most that was read, since it last began anew */
    int64_t past; /* what was shown until then */
};

struct tly_machine {
    const char *proc, *sys; /* where they are mounted; borrowed */
    /* The labels of machine_*: cAdvisor's. Empty where the host doesn't tell. */
    char machine_id[TLY_MACHINE_ID_BYTES], system_uuid[TLY_MACHINE_ID_BYTES],
        boot_id[TLY_MACHINE_ID_BYTES];
    struct tly_machine_ticks (*cpus)[TLY_CPU_MODES]; /* the sum of all, then each; owned */
    size_t cpu_count;                                /* of these rows */
    struct tly_buf buf;                              /* the file read last */
    int rc;                                          /* of that: 0, or why it could not be read */
};

/* `etc` is where machine-id lies. */
void tly_machine_init(struct tly_machine *machine, const char *proc, const char *sys,
                      const char *etc);
void tly_machine_done(struct tly_machine *machine);

/*
 * What changes all the time: CPU time, memory, pressure, disks. Adds what is there, of the groups
 * that are on. Fails when not even /proc/meminfo can be read; -EIO: there is nothing in it.
 */
int tly_machine_use_write(struct tly_machine *machine, const struct tly_group_choice *groups,
                          struct tly_samples *samples) TLY_CHECK;

/* What hardly ever changes: CPUs, caches, NUMA nodes, memory modules. The same; fails without a
 * list of CPUs. */
int tly_machine_topology_write(struct tly_machine *machine, const struct tly_group_choice *groups,
                               struct tly_samples *samples) TLY_CHECK;

/* ---- for this room ---- */

/* Reads prefix/name into the buffer: what is there, trimmed, or an empty text. Borrowed until the
 * next call. */
struct tly_text tly_machine_text(struct tly_machine *machine, const char *prefix,
                                 const char *format, ...) TLY_PRINTF(3, 4);
/* The same for a number; -1 where there is none. */
int64_t tly_machine_number(struct tly_machine *machine, const char *prefix, const char *format, ...)
    TLY_PRINTF(3, 4);
/* Why the text that was read last is an empty one. */
int tly_machine_failure(const struct tly_machine *machine);

/* Labels beside the ids of the machine. */
#define TLY_MACHINE_LABELS_MAX 4
struct tly_machine_label {
    const char *name;
    struct tly_text value;
};
/* The dimension of the ids and `count` more labels; TLY_DIM_NONE when there is none at all. */
uint16_t tly_machine_dim(const struct tly_machine *machine, struct tly_samples *samples,
                         const struct tly_machine_label *labels, size_t count);

#endif
