/*
 * The files of the status page, which are part of the program: dashboards/status, by
 * tools/embed-page.
 */
#ifndef TLY_WEB_ASSETS_H
#define TLY_WEB_ASSETS_H

#include "agent/base/text.h"

struct tly_web_asset {
    const char *path;            /* "/status.css"; "/" for index.html */
    const char *type;            /* the media type */
    const char *tag;             /* an entity tag, in quotes, of the content */
    struct tly_text plain, gzip; /* the content, and the same as gzip (RFC 1952) */
};

extern const struct tly_web_asset tly_web_assets[]; /* ends in a row with path NULL */

#endif
