/*
 * Builds the label text of a container. Everything in it comes from whoever made the container, so
 * values are escaped and every length is bounded.
 */
#include "agent/inventory/base_labels.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"
#include "agent/model/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A key longer than this makes no label: cut keys would collide with each other. */
#define LABEL_NAME_MAX 256

/* Above any text that the bounds of the choice allow in practice; the last line of defence. */
#define LABELS_TEXT_MAX (1U << 20)

struct writer {
    struct tly_buf text;
    struct tly_buf names; /* of container labels so far, each with a closing NUL */
    size_t labels;
    const struct tly_label_choice *choice;
    struct tly_base_labels counts;
};

/* A value within the bound, not cut inside of a UTF-8 sequence. */
static struct tly_text value_bounded(struct writer *writer, struct tly_text value)
{
    size_t max = writer->choice->value_bytes_max;
    if (value.len <= max) {
        return value;
    }
    writer->counts.cut++;
    /* A sequence has at most three continuation bytes (RFC 3629). */
    size_t len = max;
    for (int back = 0; back < 3 && len > 0 && ((unsigned char)value.at[len] & 0xc0) == 0x80;
         back++) {
        len--;
    }
    return (struct tly_text){value.at, len};
}

static int label_append(struct tly_buf *text, struct tly_text name, struct tly_text value)
{
    int rc = text->len > 0 ? tly_buf_append(text, ",", 1) : 0;
    if (rc == 0) {
        rc = tly_buf_append_text(text, name);
    }
    if (rc == 0) {
        rc = tly_buf_append(text, "=\"", 2);
    }
    if (rc == 0) {
        rc = tly_label_value_append(text, value);
    }
    return rc < 0 ? rc : tly_buf_append(text, "\"", 1);
}

static struct tly_text key_sanitised(const char *key, size_t len, char to[LABEL_NAME_MAX])
{
    for (size_t i = 0; i < len; i++) {
        char byte = key[i];
        bool fits = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || byte == '_';
        to[i] = fits ? byte : '_';
    }
    return (struct tly_text){to, len};
}

static bool name_taken(const struct writer *writer, struct tly_text name)
{
    struct tly_text rest = tly_buf_text(&writer->names);
    while (rest.at != NULL && rest.len > 0) {
        if (tly_text_equal(tly_text_cut(&rest, '\0'), name)) {
            return true;
        }
    }
    return false;
}

static bool chosen(const struct tly_label_choice *choice, struct tly_text key)
{
    for (size_t i = 0; i < choice->glob_count; i++) {
        if (tly_text_glob(tly_text_of(choice->globs[i]), key)) {
            return true;
        }
    }
    return false;
}

static int container_label_append(struct writer *writer, const struct tly_label *label)
{
    struct tly_text key = tly_text_of(label->key);
    if (!chosen(writer->choice, key)) {
        return 0;
    }
    if (writer->labels >= writer->choice->labels_max || key.len > LABEL_NAME_MAX) {
        writer->counts.dropped++;
        return 0;
    }
    char sanitised[LABEL_NAME_MAX];
    struct tly_text name = key_sanitised(label->key, key.len, sanitised);
    if (name_taken(writer, name)) {
        writer->counts.collisions++;
        return 0;
    }
    char full[sizeof("container_label_") - 1 + LABEL_NAME_MAX];
    size_t prefix = sizeof("container_label_") - 1;
    memcpy(full, "container_label_", prefix);
    memcpy(full + prefix, name.at, name.len);
    int rc = tly_buf_append_text(&writer->names, name);
    if (rc == 0) {
        rc = tly_buf_append(&writer->names, "", 1);
    }
    if (rc == 0) {
        rc = label_append(&writer->text, (struct tly_text){full, prefix + name.len},
                          value_bounded(writer, tly_text_of(label->value)));
    }
    writer->labels++;
    return rc;
}

static int labels_write(struct writer *writer, const struct tly_container *container,
                        struct tly_text path)
{
    int rc = label_append(&writer->text, TLY_TEXT("id"), path);
    if (rc == 0 && container->image != NULL) {
        rc = label_append(&writer->text, TLY_TEXT("image"),
                          value_bounded(writer, tly_text_of(container->image)));
    }
    if (rc == 0 && container->name != NULL) {
        rc = label_append(&writer->text, TLY_TEXT("name"),
                          value_bounded(writer, tly_text_of(container->name)));
    }
    writer->counts.dropped += container->labels_left_out;
    /* The container keeps its labels sorted by key: the order and the winner of a collision are the
     * same in every scrape. */
    for (size_t i = 0; rc == 0 && i < container->label_count; i++) {
        size_t start = writer->text.len;
        rc = container_label_append(writer, &container->labels[i]);
        if (rc == TLY_E_LIMIT) { /* the text is full: this label is left out, not the container */
            writer->text.len = start;
            writer->counts.dropped++;
            rc = 0;
        }
    }
    return rc;
}

int tly_base_labels_new(const struct tly_container *container, struct tly_text path,
                        const struct tly_label_choice *choice, struct tly_base_labels **ret_labels)
{
    struct writer writer = {.choice = choice};
    tly_buf_init(&writer.text, LABELS_TEXT_MAX);
    tly_buf_init(&writer.names, LABELS_TEXT_MAX);
    int rc = labels_write(&writer, container, path);
    if (rc == 0) {
        struct tly_base_labels *labels = malloc(sizeof(*labels) + writer.text.len);
        if (labels == NULL) {
            rc = -ENOMEM;
        } else {
            *labels = writer.counts;
            labels->refs = 1;
            labels->len = writer.text.len;
            memcpy(labels->at, writer.text.at, writer.text.len);
            *ret_labels = labels;
        }
    }
    tly_buf_done(&writer.text);
    tly_buf_done(&writer.names);
    return rc;
}

struct tly_base_labels *tly_base_labels_ref(struct tly_base_labels *labels)
{
    __atomic_add_fetch(&labels->refs, 1, __ATOMIC_RELAXED);
    return labels;
}

void tly_base_labels_unref(struct tly_base_labels *labels)
{
    if (labels != NULL && __atomic_sub_fetch(&labels->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(labels);
    }
}
