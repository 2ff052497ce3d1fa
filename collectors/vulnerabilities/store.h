/*
 * The reports of one folder: read when they are new or have changed, kept as counts. Looked at on a
 * worker; asked on the loop between looks.
 */
#ifndef TLY_VULNERABILITIES_STORE_H
#define TLY_VULNERABILITIES_STORE_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/json.h"
#include "agent/codec/scan_report.h"

#include <stddef.h>
#include <stdint.h>

struct tly_scan_store;

/* `directory` is borrowed. -ENOMEM. */
int tly_scan_store_new(const char *directory, size_t reports_max, uint64_t report_bytes_max,
                       struct tly_scan_store **ret_store) TLY_CHECK;
void tly_scan_store_free(struct tly_scan_store *store); /* NULL is fine */

/*
 * Reads what is new or changed, forgets what went. 0, or -errno for the folder itself. A file that
 * is refused keeps its reason and is not read again until it changes, unless it can't be opened; of
 * one that was good before, what was read stays until a new version is whole.
 */
int tly_scan_store_look(struct tly_scan_store *store) TLY_CHECK;

/* Calls for each file that was refused since the last call. */
void tly_scan_store_each_refused(struct tly_scan_store *store,
                                 void (*fn)(void *arg, const char *name, const char *reason),
                                 void *arg);

size_t tly_scan_store_count(const struct tly_scan_store *store);
uint64_t tly_scan_store_errors(const struct tly_scan_store *store);
uint64_t tly_scan_store_bytes(const struct tly_scan_store *store); /* read in all */

enum tly_scan_match { TLY_SCAN_BY_DIGEST, TLY_SCAN_BY_ID, TLY_SCAN_BY_TAG };
extern const char *const tly_scan_match_names[];

/*
 * The newest report on an image: one that names a digest of `image` (an element of GET
 * /images/json; NULL unknown), else its id, else the reference. NULL without any.
 */
const struct tly_scan_report *tly_scan_store_find(const struct tly_scan_store *store,
                                                  struct tly_text image_id,
                                                  struct tly_text reference, const json_t *image,
                                                  enum tly_scan_match *ret_match);

#endif
