/*
 * Tags of answers; see tag.h, and tly_http_answer_tagged in route.h.
 */
#include "agent/web/tag.h"

#include "agent/web/route.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#define DIGEST_LEN 32 /* of SHA-256 */
#define TAG_BYTES  16 /* of them that are told: enough that no two are alike */

int tly_web_tag_make(struct tly_text content, char to[TLY_WEB_TAG_MAX])
{
    unsigned char digest[DIGEST_LEN];
    const char *at = content.len > 0 ? content.at : "";
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, at, content.len, digest) < 0) {
        return -ENOMEM;
    }
    size_t len = (size_t)snprintf(to, TLY_WEB_TAG_MAX, "W/\"");
    for (size_t i = 0; i < TAG_BYTES; i++) {
        len += (size_t)snprintf(to + len, TLY_WEB_TAG_MAX - len, "%02x", digest[i]);
    }
    (void)snprintf(to + len, TLY_WEB_TAG_MAX - len, "\""); /* it fits */
    return 0;
}

bool tly_web_tag_known(struct tly_text if_none_match, const char *tag)
{
    return if_none_match.len > 0 &&
           memmem(if_none_match.at, if_none_match.len, tag, strlen(tag)) != NULL;
}

void tly_http_answer_tagged(struct tly_http_request *request, const char *content_type,
                            struct tly_buf *body, size_t from)
{
    const unsigned ok = 200;
    const unsigned not_modified = 304;
    char tag[TLY_WEB_TAG_MAX];
    struct tly_text all = tly_buf_text(body);
    const char *at = all.len > from ? all.at + from : ""; /* a body without bytes has no buffer */
    int rc = tly_web_tag_make((struct tly_text){at, all.len - from}, tag);
    rc = rc < 0 ? rc : tly_http_answer_header(request, "ETag", tag);
    rc = rc < 0 ? rc : tly_http_answer_header(request, "Cache-Control", "no-cache");
    if (rc == 0 && tly_web_tag_known(tly_http_header(request, "If-None-Match"), tag)) {
        tly_buf_clear(body);
        tly_http_answer(request, not_modified, NULL, NULL);
    } else {
        tly_http_answer(request, ok, content_type, body);
    }
}
