/*
 * Fuzzes the file of told verdicts: whatever stands there, what is taken for a subject can be
 * written, and read again as the same.
 */
#include "collectors/posture/told.h"

#include <stdint.h>
#include <stdlib.h>

#define SUBJECTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void subject_free(void *subject)
{
    tly_subject_free(subject);
}

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tly_text text = {(const char *)data, size};
    struct tly_map *subjects = tly_map_new();
    struct tly_map *again = tly_map_new();
    struct tly_map_entry entry;
    struct tly_error err = {0};
    struct tly_buf buf;
    tly_buf_init(&buf, 1 << 20);
    require(subjects && again);
    if (tly_told_read(text, SUBJECTS_MAX, subjects, &err) == 0 && tly_told_write_head(&buf) == 0) {
        require(tly_map_count(subjects) <= SUBJECTS_MAX);
        size_t written = 0;
        for (void *at = NULL; tly_map_next(subjects, &at, &entry);) {
            size_t before = buf.len;
            require(tly_told_write(&buf, entry.value) == 0);
            written += buf.len > before;
        }
        require(tly_told_read(tly_buf_text(&buf), SUBJECTS_MAX, again, &err) == 0);
        require(tly_map_count(again) == written);
    }
    tly_map_free(subjects, subject_free);
    tly_map_free(again, subject_free);
    tly_buf_done(&buf);
    return 0;
}
