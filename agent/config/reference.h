/*
 * What the option tables say, written for people: docs/configuration.md, tallyman.yml(5), and a
 * configuration file that holds every option at its default.
 */
#ifndef TLY_CONFIG_REFERENCE_H
#define TLY_CONFIG_REFERENCE_H

#include "agent/base/buf.h"
#include "agent/config/option.h"

/* Each appends to `buf`; the buffer's own errors. */
int tly_reference_markdown(const struct tly_section *const *sections, size_t count,
                           struct tly_buf *buf) TLY_CHECK;
int tly_reference_yaml(const struct tly_section *const *sections, size_t count,
                       struct tly_buf *buf) TLY_CHECK;
int tly_reference_manual(const struct tly_section *const *sections, size_t count,
                         struct tly_buf *buf) TLY_CHECK;

/* ---- what the page and the manual share, both in Markdown ---- */

struct tly_reference_kind {
    const char *name;    /* of values */
    const char *written; /* how they are written */
};
extern const struct tly_reference_kind tly_reference_kinds[]; /* ends in a row with name NULL */
extern const char tly_reference_values[]; /* what holds for values of any kind */
extern const char tly_reference_reload[]; /* what a reload applies */
#define TLY_REFERENCE_RESTART " Needs a restart."
/* "number, 1 to 10" */
int tly_reference_put_kind(struct tly_buf *buf, const struct tly_option *row) TLY_CHECK;

/* Writes one option. `path`: the keys that lead to it, "tls.ca_file" or "servers[].host";
 * `restart`: it needs one, by itself or by what stands around it. */
typedef int (*tly_reference_fn)(struct tly_buf *buf, const struct tly_option *row, const char *path,
                                bool restart);
/* All options of a section, inner ones behind the row that they are of. */
int tly_reference_each(struct tly_buf *buf, const struct tly_section *section,
                       tly_reference_fn write) TLY_CHECK;

#endif
