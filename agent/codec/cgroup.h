/*
 * The files of a cgroup v2 directory, from text to numbers. Pure. The formats are those of the
 * kernel's Documentation/admin-guide/cgroup-v2.rst and Documentation/accounting/psi.rst; lines and
 * keys that are not known here are passed over, as the kernel adds new ones.
 */
#ifndef TLY_CODEC_CGROUP_H
#define TLY_CODEC_CGROUP_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a number is while nothing told it. No kernel file has negative numbers. */
#define TLY_CGROUP_ABSENT (-1)
/* The word "max" in place of a limit. */
#define TLY_CGROUP_MAX INT64_MAX

/* ---- flat keyed files: "key value" lines ---- */

/* A wanted key and where its number goes. Keys in the order in which the kernel writes them are
 * found without a search. */
struct tly_cgroup_key {
    const char *name;
    uint16_t len;    /* of the name */
    uint16_t offset; /* of an int64_t in the struct that is filled */
};
#define TLY_CGROUP_KEY(text, type, member)                                                         \
    {                                                                                              \
        .name = (text), .len = sizeof(text) - 1, .offset = offsetof(type, member)                  \
    }

/*
 * Fills the numbers of the `count` keys found in `text` into `to` (the others stay as they are) and
 * returns how many were found. A number over INT64_MAX counts as INT64_MAX; a line without a number
 * is passed over.
 */
size_t tly_cgroup_flat_parse(struct tly_text text, const struct tly_cgroup_key *keys, size_t count,
                             void *to);

/* ---- single values ---- */

/* "123\n", or "max\n" for TLY_CGROUP_MAX. TLY_E_MALFORMED. */
int tly_cgroup_value_parse(struct tly_text text, int64_t *ret_value) TLY_CHECK;

/* cpu.max: "50000 100000\n" or "max 100000\n", in microseconds. TLY_E_MALFORMED. */
int tly_cgroup_cpu_max_parse(struct tly_text text, int64_t *ret_quota_us,
                             int64_t *ret_period_us) TLY_CHECK;

/*
 * cpu.weight turned back into CPU shares. The container runtime sets the weight
 * 1 + ((shares - 2) * 9999) / 262142, so that several shares have the same weight: of those the one
 * with the most trailing zero bits is returned (1024 for 39, 512 for 20). 100, the kernel's
 * default, stands where no shares were set and yields 1024. Newer runtimes use another formula, for
 * which only 100 comes back right. Weights run from 1 to 10000; others are moved to the nearest of
 * these.
 */
int64_t tly_cgroup_shares_from_weight(int64_t weight);

/* ---- pressure files ---- */

struct tly_cgroup_pressure {
    int64_t some_us, full_us; /* `total`; TLY_CGROUP_ABSENT without such a line */
};
/* Always fills `ret_pressure`. TLY_E_MALFORMED when it has neither line. */
int tly_cgroup_pressure_parse(struct tly_text text,
                              struct tly_cgroup_pressure *ret_pressure) TLY_CHECK;

/* ---- memory.numa_stat ---- */

/*
 * The bytes of `key` on each node, from its line "key N0=4096 N1=0"; nodes that the line does not
 * name stay TLY_CGROUP_ABSENT. Returns one more than the highest node found, at most `cap`; nodes
 * from there on are left out.
 */
size_t tly_cgroup_numa_parse(struct tly_text text, struct tly_text key, int64_t *to, size_t cap);

/* ---- io.stat ---- */

struct tly_cgroup_io {
    uint32_t major, minor;
    int64_t rbytes, wbytes, rios, wios, dbytes, dios;
    int64_t cost_usage_us, cost_wait_us, cost_indebt_us, cost_indelay_us;
};

/*
 * Cuts the next device off `rest` and fills `ret_io` with it, numbers that it lacks as
 * TLY_CGROUP_ABSENT; false at the end. Devices without any number are passed over, also where the
 * kernel (5.x) wrote their name without an end of line.
 */
bool tly_cgroup_io_next(struct tly_text *rest, struct tly_cgroup_io *ret_io);

#endif
