/*
 * Prints an exposition for check_exposition.py: every family of the table for containers with
 * hostile labels, the host and the agent. The number of samples goes to standard error.
 */
#include "agent/codec/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BUF_MAX (16U << 20)

/* Aborts: this program has no user whom an error message would help. */
static void must(int rc)
{
    if (rc < 0) {
        abort();
    }
}

static const struct tly_text hostile[] = {
    TLY_TEXT("plain"),
    TLY_TEXT("a\"} 1\nup{x=\"y"),             /* tries to end the line and begin another */
    TLY_TEXT("\\"),                           /* would swallow the closing quote */
    TLY_TEXT("\xff\xfe\xc0\x80\xed\xa0\x80"), /* not UTF-8: bytes, overlong NUL, surrogate */
    TLY_TEXT("\0nul"),
    TLY_TEXT("\r\n\t\x01\x1b[31m"),
    TLY_TEXT("\xf0\x9f\x90\xb3 \xe2\x80\xa8"), /* a whale, and U+2028, a line end to some */
    TLY_TEXT("# EOF"),
    TLY_TEXT(""),
};
#define HOSTILE_COUNT (sizeof(hostile) / sizeof(hostile[0]))

/* A sample of each family of the scope, with all of its labels. */
static struct tly_sample_set *scope_set(enum tly_family_scope scope, size_t salt)
{
    struct tly_samples samples;
    tly_samples_init(&samples);
    for (unsigned id = 0; id < TLY_FAMILY_COUNT; id++) {
        if (tly_families[id].scope != scope) {
            continue;
        }
        char names_text[512];
        (void)snprintf(names_text, sizeof(names_text), "%s", tly_families[id].labels);
        const char *names[16];
        struct tly_text values[16];
        size_t count = 0;
        char *save = NULL;
        for (char *name = strtok_r(names_text, ",", &save); name != NULL;
             name = strtok_r(NULL, ",", &save)) {
            names[count] = name;
            values[count] = hostile[(salt + count) % HOSTILE_COUNT];
            count++;
        }
        uint16_t dim = count > 0 ? tly_samples_dim(&samples, names, values, count) : TLY_DIM_NONE;
        int64_t value = tly_families[id].type == TLY_INFO ? 1 : (int64_t)(salt * 1000003);
        tly_samples_add(&samples, (enum tly_family_id)id, dim, value);
    }
    struct tly_sample_set *set = tly_samples_take(&samples);
    if (set == NULL) {
        abort();
    }
    tly_samples_done(&samples);
    return set;
}

static void labels_write(struct tly_buf *buf, size_t i)
{
    must(tly_buf_printf(buf, "id=\"/docker/%zu\",name=\"", i));
    must(tly_label_value_append(buf, hostile[i]));
    must(tly_buf_printf(buf, "\",container_label_x=\""));
    must(tly_label_value_append(buf, hostile[(i + 1) % HOSTILE_COUNT]));
    must(tly_buf_append(buf, "\"", 1));
}

int main(int argc, char **argv)
{
    enum tly_exposition_format format = argc > 1 && strcmp(argv[1], "openmetrics") == 0
                                            ? TLY_EXPOSITION_OPENMETRICS_1_0_0
                                            : TLY_EXPOSITION_TEXT_0_0_4;
    struct tly_exposition exposition;
    tly_exposition_init(&exposition);
    struct tly_buf labels[HOSTILE_COUNT];
    struct tly_sample_set *sets[HOSTILE_COUNT + 2];
    for (size_t i = 0; i < HOSTILE_COUNT; i++) {
        tly_buf_init(&labels[i], BUF_MAX);
        labels_write(&labels[i], i);
        sets[i] = scope_set(TLY_PER_CONTAINER, i);
        must(tly_exposition_add(&exposition, tly_buf_text(&labels[i]), &sets[i], 1));
        must(tly_exposition_add(&exposition, tly_buf_text(&labels[i]), &sets[i], 1)); /* twice */
    }
    sets[HOSTILE_COUNT] = scope_set(TLY_PER_HOST, 1);
    sets[HOSTILE_COUNT + 1] = scope_set(TLY_PER_AGENT, 1);
    must(tly_exposition_add(&exposition, TLY_TEXT(""), &sets[HOSTILE_COUNT], 2));

    struct tly_buf buf;
    tly_buf_init(&buf, BUF_MAX);
    struct tly_exposition_stats stats;
    must(tly_exposition_write(&exposition, format, &buf, &stats));
    (void)fprintf(stderr, "%zu\n", stats.samples);
    must(write(STDOUT_FILENO, buf.at, buf.len) == (ssize_t)buf.len ? 0 : -1);

    tly_buf_done(&buf);
    tly_exposition_done(&exposition);
    for (size_t i = 0; i < HOSTILE_COUNT; i++) {
        tly_buf_done(&labels[i]);
    }
    for (size_t i = 0; i < HOSTILE_COUNT + 2; i++) {
        tly_sample_set_unref(sets[i]);
    }
    return 0;
}
