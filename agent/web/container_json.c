/*
 * From a snapshot to JSON. Label texts are prepared for the metrics (`name="value"`, escaped as
 * Prometheus wants them) and are taken apart here, so that both always say the same.
 */
#include "agent/web/container_json.h"

#include "agent/codec/record_json.h"
#include "agent/model/container.h"

#include <errno.h>

static const struct tly_json_style plain = {.raw_bytes = false};

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

/* ---- labels ---- */

/* Reads a value from behind its opening quote: appends it to `value` without escapes, and moves
 * `rest` behind its closing quote. */
static int value_read(struct tly_text *rest, struct tly_buf *value)
{
    size_t i = 0;
    int rc = 0;
    for (; i < rest->len && rest->at[i] != '"' && rc == 0; i++) {
        char c = rest->at[i];
        if (c == '\\' && i + 1 < rest->len) {
            i++;
            c = rest->at[i] == 'n' ? '\n' : rest->at[i];
        }
        rc = tly_buf_append(value, &c, 1);
    }
    size_t used = i < rest->len ? i + 1 : i;
    rest->at += used;
    rest->len -= used;
    return rc;
}

/* `a="b",c="d"` as {"a":"b","c":"d"}. */
static int labels_put(struct tly_buf *buf, struct tly_text labels, struct tly_buf *scratch)
{
    int rc = put(buf, "{");
    for (bool first = true; labels.len > 0 && rc == 0; first = false) {
        struct tly_text name = tly_text_cut(&labels, '=');
        if (labels.at == NULL || labels.len == 0) {
            break; /* never: the text was made by the model */
        }
        labels.at++; /* the quote */
        labels.len--;
        tly_buf_clear(scratch);
        rc = value_read(&labels, scratch);
        if (labels.len > 0 && labels.at[0] == ',') {
            labels.at++;
            labels.len--;
        }
        rc = rc < 0 ? rc : put(buf, first ? "" : ",");
        rc = rc < 0 ? rc : tly_record_json_text(buf, name, plain);
        rc = rc < 0 ? rc : put(buf, ":");
        rc = rc < 0 ? rc : tly_record_json_text(buf, tly_buf_text(scratch), plain);
    }
    return rc < 0 ? rc : put(buf, "}");
}

/* ---- samples ---- */

static int sample_put(struct tly_buf *buf, const struct tly_sample_set *set,
                      const struct tly_sample *sample, struct tly_buf *scratch)
{
    const struct tly_family *family = &tly_families[sample->family];
    char value[TLY_DECIMAL_MAX];
    size_t len = tly_decimal_write(value, sample->raw, family->exponent);
    int rc = tly_buf_printf(buf, "{\"name\":\"%s\"", family->name);
    if (rc == 0 && sample->dim != TLY_DIM_NONE) {
        rc = put(buf, ",\"labels\":");
        rc = rc < 0 ? rc : labels_put(buf, tly_sample_set_dim(set, sample->dim), scratch);
    }
    return rc < 0 ? rc : tly_buf_printf(buf, ",\"value\":%.*s}", (int)len, value);
}

static int samples_put(struct tly_buf *buf, const struct tly_snapshot_row *row, size_t slots,
                       const bool *shown, struct tly_buf *scratch)
{
    int rc = put(buf, "[");
    bool first = true;
    for (size_t i = 0; i < slots; i++) {
        const struct tly_sample_set *set = row->sets[i];
        size_t count = set != NULL ? tly_sample_set_count(set) : 0;
        const struct tly_sample *samples = count > 0 ? tly_sample_set_at(set) : NULL;
        for (size_t j = 0; j < count && rc == 0; j++) {
            if (shown[samples[j].family]) {
                rc = put(buf, first ? "" : ",");
                rc = rc < 0 ? rc : sample_put(buf, set, &samples[j], scratch);
                first = false;
            }
        }
    }
    return rc < 0 ? rc : put(buf, "]");
}

/* ---- containers ---- */

static int text_put(struct tly_buf *buf, const char *key, const char *text)
{
    if (text == NULL) {
        return 0;
    }
    int rc = tly_buf_printf(buf, ",\"%s\":", key);
    return rc < 0 ? rc : tly_record_json_text(buf, tly_text_of(text), plain);
}

static int time_put(struct tly_buf *buf, const char *key, int64_t ns)
{
    if (ns <= 0) {
        return 0;
    }
    int rc = tly_buf_printf(buf, ",\"%s\":", key);
    return rc < 0 ? rc : tly_record_json_time(buf, ns);
}

static int number_put(struct tly_buf *buf, const char *key, int64_t number)
{
    return number == TLY_UNKNOWN ? 0 : tly_buf_printf(buf, ",\"%s\":%lld", key, (long long)number);
}

static int facts_put(struct tly_buf *buf, const struct tly_container *container)
{
    int rc = tly_buf_printf(buf, "{\"id\":");
    rc = rc < 0 ? rc : tly_record_json_text(buf, tly_text_of(container->id), plain);
    rc = rc < 0 ? rc : text_put(buf, "name", container->name);
    rc = rc < 0 ? rc : text_put(buf, "image", container->image);
    if (container->state != TLY_STATE_UNKNOWN) {
        rc = rc < 0 ? rc : text_put(buf, "state", tly_container_state_names[container->state]);
    }
    if (container->health != TLY_HEALTH_UNKNOWN) {
        rc = rc < 0 ? rc : text_put(buf, "health", tly_container_health_names[container->health]);
    }
    rc = rc < 0 ? rc : time_put(buf, "created", container->created_ns);
    rc = rc < 0 ? rc : time_put(buf, "started", container->started_ns);
    rc = rc < 0 ? rc : time_put(buf, "finished", container->finished_ns);
    rc = rc < 0 ? rc : number_put(buf, "exit_code", container->exit_code);
    rc = rc < 0 ? rc : number_put(buf, "restarts", container->restarts);
    if (container->oom_killed != TLY_UNKNOWN) {
        rc = rc < 0 ? rc
                    : put(buf,
                          container->oom_killed ? ",\"oom_killed\":true" : ",\"oom_killed\":false");
    }
    return rc;
}

/* What one answer needs beside its buffer. */
struct aids {
    struct tly_buf scratch;
    struct tly_secret_shapes *shapes; /* for details */
};

static bool wanted(const struct tly_container_view *view, const struct tly_container *container)
{
    struct tly_text name = tly_text_of(container->name);
    return (view->id.len == 0 || tly_text_starts(tly_text_of(container->id), view->id)) &&
           (view->name.len == 0 || tly_text_equal(name, view->name));
}

static int container_put(struct tly_buf *buf, const struct tly_snapshot_row *row, size_t slots,
                         const struct tly_container_view *view, struct aids *aids)
{
    struct tly_buf *scratch = &aids->scratch;
    int rc = facts_put(buf, row->container);
    if (rc == 0 && view->detail) {
        rc = tly_container_detail_json(row->container, aids->shapes, buf);
    }
    rc = rc < 0 ? rc : put(buf, ",\"labels\":");
    rc = rc < 0 ? rc : labels_put(buf, row->labels, scratch);
    rc = rc < 0 ? rc : put(buf, ",\"samples\":");
    rc = rc < 0 ? rc : samples_put(buf, row, slots, view->shown, scratch);
    return rc < 0 ? rc : put(buf, "}");
}

/* The rows without a container are the host's and, behind it, the agent's. */
static const struct tly_snapshot_row *host_row(const struct tly_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot->rows[i].container == NULL) {
            return &snapshot->rows[i];
        }
    }
    return NULL;
}

static int all_put(struct tly_buf *buf, const struct tly_snapshot *snapshot,
                   const struct tly_container_view *view, struct aids *aids)
{
    int rc = put(buf, "\"containers\":[");
    bool first = true;
    for (size_t i = 0; i < snapshot->count && rc == 0; i++) {
        const struct tly_snapshot_row *row = &snapshot->rows[i];
        if (row->container != NULL && wanted(view, row->container)) {
            rc = put(buf, first ? "\n" : ",\n");
            rc = rc < 0 ? rc : container_put(buf, row, snapshot->slots, view, aids);
            first = false;
        }
    }
    rc = rc < 0 ? rc : put(buf, "],\n\"host\":");
    const struct tly_snapshot_row *host = host_row(snapshot);
    if (rc == 0) {
        rc = host != NULL ? samples_put(buf, host, snapshot->slots, view->shown, &aids->scratch)
                          : put(buf, "[]");
    }
    return rc;
}

int tly_container_json(const struct tly_snapshot *snapshot, const struct tly_container_view *view,
                       struct tly_buf *buf)
{
    struct aids aids = {.shapes = NULL};
    struct tly_error err = {0};
    tly_buf_init(&aids.scratch,
                 SIZE_MAX); /* no longer than one label, which the inventory bounds */
    int rc = view->detail ? tly_secret_shapes_new(&aids.shapes, &err) : 0;
    rc = rc < 0 ? rc : all_put(buf, snapshot, view, &aids);
    tly_secret_shapes_free(aids.shapes);
    tly_buf_done(&aids.scratch);
    return rc;
}

int tly_container_samples_json(const struct tly_snapshot_row *row, size_t slots,
                               const bool shown[TLY_FAMILY_COUNT], struct tly_buf *buf)
{
    struct tly_buf scratch;
    tly_buf_init(&scratch, SIZE_MAX);
    int rc = samples_put(buf, row, slots, shown, &scratch);
    tly_buf_done(&scratch);
    return rc;
}
