/*
 * A scanner's report, whole and in small pieces: both must say the same, and the walk must tell of
 * as many ends as of beginnings.
 */
#include "agent/codec/scan_report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *arg, const struct tly_json_walk_event *event)
{
    int64_t *open = arg;
    *open += event->type == TLY_JSON_WALK_OBJECT || event->type == TLY_JSON_WALK_ARRAY;
    *open -= event->type == TLY_JSON_WALK_OBJECT_END || event->type == TLY_JSON_WALK_ARRAY_END;
    if (*open < 0 || event->text.len > TLY_JSON_WALK_STRING_MAX ||
        event->depth > TLY_JSON_WALK_DEPTH_MAX) {
        abort();
    }
}

static void walk(struct tly_text text)
{
    struct tly_json_walk walk;
    int64_t open = 0;
    tly_json_walk_init(&walk, count, &open);
    if (tly_json_walk_feed(&walk, text) == 0 && tly_json_walk_end(&walk) == 0 && open != 0) {
        abort();
    }
}

static int read_report(struct tly_text text, size_t piece, struct tly_scan_report *report)
{
    struct tly_scan_reader *reader = NULL;
    struct tly_error err = {0};
    int rc = tly_scan_reader_new(&reader);
    while (rc == 0 && text.len > 0) {
        size_t len = text.len < piece ? text.len : piece;
        rc = tly_scan_reader_feed(reader, (struct tly_text){text.at, len}, &err);
        text = (struct tly_text){text.at + len, text.len - len};
    }
    rc = rc < 0 ? rc : tly_scan_reader_end(reader, report, &err);
    if (rc < 0 && err.text[0] == '\0') {
        abort(); /* a refusal without a reason */
    }
    tly_scan_reader_free(reader);
    return rc;
}

static bool is_same(const struct tly_scan_report *a, const struct tly_scan_report *b)
{
    return a->scanner == b->scanner && a->name_count == b->name_count &&
           a->digest_count == b->digest_count && a->time_ns == b->time_ns &&
           a->end_of_life == b->end_of_life && strcmp(a->version, b->version) == 0 &&
           memcmp(a->names, b->names, sizeof(a->names)) == 0 &&
           memcmp(a->digests, b->digests, sizeof(a->digests)) == 0 &&
           memcmp(a->unique, b->unique, sizeof(a->unique)) == 0 &&
           memcmp(a->rows, b->rows, sizeof(a->rows)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tly_scan_report whole, pieces;
    /* A copy of just this size, so that the sanitizer sees a read past the end. */
    char *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    struct tly_text text = {copy, size};
    walk(text);
    memset(&whole, 0, sizeof(whole));
    memset(&pieces, 0, sizeof(pieces));
    int rc = read_report(text, size + 1, &whole);
    if (rc != read_report(text, 3, &pieces) || (rc == 0 && !is_same(&whole, &pieces))) {
        abort();
    }
    free(copy);
    return 0;
}
