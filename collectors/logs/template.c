/*
 * Packing the records' common part, and the records that need more than it.
 */
#include "collectors/logs/template.h"

#include "agent/codec/record_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Docker bounds neither names nor labels; a container whose labels pass this loses them in records.
 */
#define PAIRS_BYTES_MAX ((size_t)64 << 10)

#define TEMPLATE_BYTES_MAX (3 * PAIRS_BYTES_MAX)

#define PARTIAL_ID_DIGITS 32

void tly_log_template_init(struct tly_log_template *template)
{
    *template = (struct tly_log_template){.source_at = 0};
    tly_buf_init(&template->bytes, TEMPLATE_BYTES_MAX);
    tly_buf_init(&template->identity.packed, PAIRS_BYTES_MAX);
    tly_buf_init(&template->attrs.packed, PAIRS_BYTES_MAX);
    tly_buf_init(&template->attrs_read, PAIRS_BYTES_MAX);
    tly_buf_init(&template->added.packed, PAIRS_BYTES_MAX);
}

void tly_log_template_done(struct tly_log_template *template)
{
    tly_buf_done(&template->bytes);
    tly_buf_done(&template->identity.packed);
    tly_buf_done(&template->attrs.packed);
    tly_buf_done(&template->attrs_read);
    tly_buf_done(&template->added.packed);
}

static int put_pair(struct tly_buf *buf, const char *key, struct tly_text value)
{
    int rc = tly_record_str(buf, tly_text_of(key));
    return rc < 0 ? rc : tly_record_str(buf, value);
}

/* Everything through the key `log`, with blanks where time and stream go. */
static int build(struct tly_buf *bytes, const struct tly_log_pairs *identity,
                 const struct tly_log_pairs *attrs, const struct tly_log_pairs *added,
                 size_t *ret_source_at)
{
    int rc = tly_record_array(bytes, 2);
    if (rc == 0) {
        rc = tly_record_time(bytes, 0);
    }
    if (rc == 0) {
        rc = tly_record_map(bytes, identity->count + attrs->count + added->count + 2);
    }
    if (rc == 0) {
        rc = tly_buf_append_text(bytes, tly_buf_text(&identity->packed));
    }
    if (rc == 0) {
        rc = put_pair(bytes, "source", TLY_TEXT("stdout"));
    }
    if (rc == 0) {
        *ret_source_at = bytes->len - TLY_LOG_STREAM_LEN;
        rc = tly_buf_append_text(bytes, tly_buf_text(&attrs->packed));
    }
    if (rc == 0) {
        rc = tly_buf_append_text(bytes, tly_buf_text(&added->packed));
    }
    if (rc == 0) {
        rc = tly_record_str(bytes, TLY_TEXT("log"));
    }
    return rc;
}

/* Puts `next` in the place of `*pairs`, which is one of the template's; if it can't, all stays as
 * it was and `next` is gone. */
static int replace(struct tly_log_template *template, struct tly_log_pairs *pairs,
                   struct tly_log_pairs next)
{
    struct tly_buf bytes;
    size_t source_at = 0;
    tly_buf_init(&bytes, TEMPLATE_BYTES_MAX);
    int rc = build(&bytes, pairs == &template->identity ? &next : &template->identity,
                   pairs == &template->attrs ? &next : &template->attrs,
                   pairs == &template->added ? &next : &template->added, &source_at);
    if (rc < 0) {
        tly_buf_done(&bytes);
        tly_buf_done(&next.packed);
        return rc;
    }
    tly_buf_done(&template->bytes);
    tly_buf_done(&pairs->packed);
    template->bytes = bytes;
    template->source_at = source_at;
    *pairs = next;
    return 0;
}

static int set_fields(struct tly_log_template *template, struct tly_log_pairs *pairs,
                      const struct tly_log_field *fields, size_t count)
{
    struct tly_log_pairs next = {.count = (uint32_t)count};
    int rc = 0;
    tly_buf_init(&next.packed, PAIRS_BYTES_MAX);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = put_pair(&next.packed, fields[i].key, tly_text_of(fields[i].value));
    }
    if (rc < 0) {
        tly_buf_done(&next.packed);
        return rc;
    }
    return replace(template, pairs, next);
}

int tly_log_template_fields(struct tly_log_template *template, const struct tly_log_field *fields,
                            size_t count)
{
    return set_fields(template, &template->identity, fields, count);
}

int tly_log_template_add(struct tly_log_template *template, const struct tly_log_field *fields,
                         size_t count)
{
    return set_fields(template, &template->added, fields, count);
}

int tly_log_template_identify(struct tly_log_template *template, const char *id, const char *name)
{
    struct tly_buf slashed;
    tly_buf_init(&slashed, PAIRS_BYTES_MAX);
    int rc = name ? tly_buf_printf(&slashed, "/%s", name) : 0;
    if (rc == 0) {
        const struct tly_log_field fields[] = {{"container_id", id},
                                               {"container_name", slashed.at}};
        rc = tly_log_template_fields(template, fields, name ? 2 : 1);
    }
    tly_buf_done(&slashed);
    return rc;
}

bool tly_log_template_reserved(struct tly_text name)
{
    static const char *const names[] = {
        "container_id",    "container_name",  "source",     "log",          "malformed",
        "partial_message", "partial_ordinal", "partial_id", "partial_last", "record_id"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tly_text_equal(name, tly_text_of(names[i]))) {
            return true;
        }
    }
    return false;
}

static bool has_pair(const struct tly_log_pairs *pairs, struct tly_text name)
{
    struct tly_text rest = tly_buf_text(&pairs->packed);
    struct tly_value key;
    struct tly_value value;
    while (rest.len > 0 && tly_value_next(&rest, &key) == 0 && tly_value_next(&rest, &value) == 0) {
        if (tly_text_equal(key.bytes, name)) {
            return true;
        }
    }
    return false;
}

bool tly_log_template_has(const struct tly_log_template *template, struct tly_text name)
{
    return tly_log_template_reserved(name) || has_pair(&template->identity, name) ||
           has_pair(&template->added, name) || has_pair(&template->attrs, name);
}

struct attrs_read {
    const struct tly_log_template *template;
    struct tly_log_pairs pairs;
};

static void add_attr(void *arg, struct tly_text key, struct tly_text value)
{
    struct attrs_read *attrs = arg;
    struct tly_log_pairs *pairs = &attrs->pairs;
    size_t before = pairs->packed.len;
    if (tly_log_template_reserved(key) || has_pair(&attrs->template->added, key)) {
        return;
    }
    if (tly_record_str(&pairs->packed, key) == 0 && tly_record_str(&pairs->packed, value) == 0) {
        pairs->count++;
    } else {
        pairs->packed.len = before;
    }
}

int tly_log_template_attrs(struct tly_log_template *template, struct tly_text attrs,
                           tly_log_attrs_fn read)
{
    struct attrs_read next = {.template = template};
    struct tly_buf source;
    tly_buf_init(&source, PAIRS_BYTES_MAX);
    tly_buf_init(&next.pairs.packed, PAIRS_BYTES_MAX);
    char *scratch = malloc(attrs.len + 1);
    int rc = scratch ? tly_buf_append_text(&source, attrs) : -ENOMEM;
    if (rc == 0 && attrs.len > 0) {
        int told = read(attrs, scratch, add_attr, &next);
        (void)told; /* what stood before a fault was told */
    }
    free(scratch);
    if (rc == 0) {
        rc = replace(template, &template->attrs, next.pairs);
    } else {
        tly_buf_done(&next.pairs.packed);
    }
    if (rc < 0) {
        tly_buf_done(&source);
        return rc;
    }
    tly_buf_done(&template->attrs_read);
    template->attrs_read = source;
    return 0;
}

/* ---- records beyond the template ---- */

static uint32_t extra_pairs(const struct tly_log_record *record)
{
    return (record->malformed ? 1U : 0U) + (record->partial_ordinal > 0 ? 4U : 0U) +
           (record->id[1] != 0 ? 1U : 0U) + record->fields.count;
}

size_t tly_log_record_room(const struct tly_log_template *template,
                           const struct tly_log_record *record)
{
    /* The names and values of all extra fields together stay below this. */
    enum { EXTRA_MAX = 512 };
    return tly_log_template_room(template) + record->source.len + record->log.len +
           record->fields.packed.len + EXTRA_MAX;
}

static char *put_text_pair(char *to, struct tly_text key, struct tly_text value)
{
    return tly_record_put_str(tly_record_put_str(to, key), value);
}

static char *put_bytes(char *to, const struct tly_buf *bytes)
{
    if (bytes->len > 0) {
        memcpy(to, bytes->at, bytes->len);
    }
    return to + bytes->len;
}

static char *put_id(char *to, const uint64_t id[2])
{
    static const char digits[] = "0123456789abcdef";
    char text[PARTIAL_ID_DIGITS];
    for (int i = 0; i < PARTIAL_ID_DIGITS; i++) {
        text[i] = digits[id[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    return put_text_pair(to, TLY_TEXT("record_id"), (struct tly_text){text, sizeof(text)});
}

static char *put_partial(const struct tly_log_record *record, char *to)
{
    char id[PARTIAL_ID_DIGITS + 1];
    char ordinal[16];
    (void)snprintf(id, sizeof(id), "%016" PRIx64 "%016" PRIx64, record->partial_id[0],
                   record->partial_id[1]);
    (void)snprintf(ordinal, sizeof(ordinal), "%" PRIu32, record->partial_ordinal);
    to = put_text_pair(to, TLY_TEXT("partial_message"), TLY_TEXT("true"));
    to = put_text_pair(to, TLY_TEXT("partial_id"), tly_text_of(id));
    to = put_text_pair(to, TLY_TEXT("partial_ordinal"), tly_text_of(ordinal));
    return put_text_pair(to, TLY_TEXT("partial_last"),
                         record->partial_last ? TLY_TEXT("true") : TLY_TEXT("false"));
}

char *tly_log_record_put(const struct tly_log_template *template,
                         const struct tly_log_record *record, char *to)
{
    bool has_log = !record->fields.say_it_all;
    uint32_t pairs = template->identity.count + template->attrs.count + template->added.count + 1 +
                     (has_log ? 1U : 0U) + extra_pairs(record);
    to = tly_record_put_array(to, 2);
    to = tly_record_put_time(to, record->time_ns);
    to = tly_record_put_map(to, pairs);
    to = put_bytes(to, &template->identity.packed);
    to = put_text_pair(to, TLY_TEXT("source"), record->source);
    to = put_bytes(to, &template->attrs.packed);
    to = put_bytes(to, &template->added.packed);
    if (record->id[1] != 0) {
        to = put_id(to, record->id);
    }
    if (record->malformed) {
        to = put_text_pair(to, TLY_TEXT("malformed"), TLY_TEXT("true"));
    }
    if (record->partial_ordinal > 0) {
        to = put_partial(record, to);
    }
    if (record->fields.count > 0) {
        memcpy(to, record->fields.packed.at, record->fields.packed.len);
        to += record->fields.packed.len;
    }
    return has_log ? put_text_pair(to, TLY_TEXT("log"), record->log) : to;
}
