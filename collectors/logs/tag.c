/*
 * Tag templates: literal text and {placeholders}. Pure.
 */
#include "collectors/logs/tag.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define SHORT_ID_LEN 12 /* as Docker's own tag {{.ID}} has it */

static const struct tly_text label_prefix = {"label:", 6};

/* Cuts literal text or one placeholder off the front. False at the end. A brace that is never
 * closed makes the rest a placeholder, which no name matches. */
static bool next_part(struct tly_text *rest, struct tly_text *ret_part, bool *ret_placeholder)
{
    if (rest->len == 0) {
        return false;
    }
    *ret_placeholder = rest->at[0] == '{';
    const char *end = memchr(rest->at, *ret_placeholder ? '}' : '{', rest->len);
    size_t len = end ? (size_t)(end - rest->at) : rest->len;
    *ret_part = (struct tly_text){rest->at, len};
    if (*ret_placeholder) {
        ret_part->at++;
        ret_part->len--;
        len += end ? 1 : 0;
    }
    rest->at += len;
    rest->len -= len;
    return true;
}

static bool known_placeholder(struct tly_text name)
{
    static const struct tly_text names[] = {
        {"id", 2}, {"full_id", 7}, {"name", 4}, {"image", 5}, {"hostname", 8}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tly_text_equal(name, names[i])) {
            return true;
        }
    }
    return tly_text_starts(name, label_prefix) && name.len > label_prefix.len;
}

int tly_log_tag_verify(const char *value, struct tly_error *err)
{
    struct tly_text rest = tly_text_of(value);
    struct tly_text part;
    bool placeholder;
    if (rest.len == 0) {
        return tly_error_set(err, -EINVAL, "a tag can't be empty");
    }
    while (next_part(&rest, &part, &placeholder)) {
        bool closed = placeholder && part.at[part.len] == '}';
        if (placeholder && (!closed || !known_placeholder(part))) {
            return tly_error_set(err, -EINVAL,
                                 "`{%.*s%s` is no placeholder; write {id}, {full_id}, {name}, "
                                 "{image}, {hostname} or {label:KEY}",
                                 (int)(part.len < 80 ? part.len : 80), part.at, closed ? "}" : "");
        }
    }
    return 0;
}

/* Asked once: a host that is renamed keeps its name here until the next start. */
static struct tly_text hostname(void)
{
    static char name[HOST_NAME_MAX + 1];
    if (name[0] == '\0' && gethostname(name, sizeof(name) - 1) < 0) {
        return TLY_TEXT("");
    }
    return tly_text_of(name);
}

static struct tly_text placeholder_value(struct tly_text name,
                                         const struct tly_container *container)
{
    struct tly_text id = tly_text_of(container->id);
    if (tly_text_equal(name, TLY_TEXT("id"))) {
        id.len = id.len < SHORT_ID_LEN ? id.len : SHORT_ID_LEN;
        return id;
    }
    if (tly_text_equal(name, TLY_TEXT("full_id"))) {
        return id;
    }
    if (tly_text_equal(name, TLY_TEXT("name"))) {
        return tly_text_of(container->name);
    }
    if (tly_text_equal(name, TLY_TEXT("image"))) {
        return tly_text_of(container->image);
    }
    if (tly_text_equal(name, TLY_TEXT("hostname"))) {
        return hostname();
    }
    struct tly_text key = {name.at + label_prefix.len, name.len - label_prefix.len};
    for (size_t i = 0; i < container->label_count; i++) {
        if (tly_text_equal(key, tly_text_of(container->labels[i].key))) {
            return tly_text_of(container->labels[i].value);
        }
    }
    return TLY_TEXT("");
}

int tly_log_value_expand(const char *template, const struct tly_container *container,
                         struct tly_buf *ret_tag)
{
    struct tly_text rest = tly_text_of(template);
    struct tly_text part;
    bool placeholder;
    tly_buf_clear(ret_tag);
    while (next_part(&rest, &part, &placeholder)) {
        if (placeholder) {
            part = placeholder_value(part, container);
        }
        size_t room = TLY_LOG_TAG_MAX - ret_tag->len;
        part.len = part.len < room ? part.len : room;
        int rc = tly_buf_append_text(ret_tag, part);
        if (rc < 0) {
            return rc;
        }
    }
    ret_tag->len = tly_text_utf8_prefix(tly_buf_text(ret_tag)); /* a cut character goes whole */
    return 0;
}

int tly_log_tag_expand(const char *template, const struct tly_container *container,
                       struct tly_buf *ret_tag)
{
    int rc = tly_log_value_expand(template, container, ret_tag);
    if (rc < 0) {
        return rc;
    }
    if (ret_tag->len == 0) {
        return tly_buf_append_text(ret_tag, TLY_TEXT(TLY_LOG_TAG_FALLBACK));
    }
    for (size_t i = 0; i < ret_tag->len; i++) {
        if ((unsigned char)ret_tag->at[i] < ' ' || ret_tag->at[i] == 0x7f) {
            ret_tag->at[i] = '_';
        }
    }
    return 0;
}
