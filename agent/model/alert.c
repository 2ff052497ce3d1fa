/*
 * Alerts as one block of memory each: the struct, the pairs of both maps, the texts. Who makes one
 * lends everything, who gets one owns nothing but a reference.
 */
#include "agent/model/alert.h"

#include <stdlib.h>

const char *const tly_alert_state_names[3] = {"inactive", "pending", "firing"};

/* Hands out the bytes behind the pairs. */
static struct tly_text text_copy(char **to, struct tly_text text)
{
    struct tly_text copy = {*to, text.len};
    if (text.len > 0) {
        memcpy(*to, text.at, text.len);
    }
    (*to)[text.len] = '\0';
    *to += text.len + 1;
    return copy;
}

static size_t pairs_bytes(const struct tly_alert_pair *pairs, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += pairs[i].name.len + pairs[i].value.len + 2;
    }
    return bytes;
}

static int pair_compare(const void *a, const void *b)
{
    const struct tly_text left = ((const struct tly_alert_pair *)a)->name;
    const struct tly_text right = ((const struct tly_alert_pair *)b)->name;
    size_t least = left.len < right.len ? left.len : right.len;
    int order = least > 0 ? memcmp(left.at, right.at, least) : 0;
    return order != 0 ? order : (left.len > right.len) - (left.len < right.len);
}

static void pairs_copy(struct tly_alert_pair *to, char **texts, const struct tly_alert_pair *pairs,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i].name = text_copy(texts, pairs[i].name);
        to[i].value = text_copy(texts, pairs[i].value);
    }
    if (count > 1) {
        qsort(to, count, sizeof(*to), pair_compare);
    }
}

struct tly_alert *tly_alert_new(const struct tly_alert *from)
{
    size_t pair_count = from->label_count + from->annotation_count;
    size_t text_bytes = pairs_bytes(from->labels, from->label_count) +
                        pairs_bytes(from->annotations, from->annotation_count) + from->rule.len +
                        from->group.len + from->file.len + from->query.len + 4;
    struct tly_alert *alert = malloc(sizeof(*alert) + pair_count * sizeof(struct tly_alert_pair) +
                                     text_bytes);
    if (!alert) {
        return NULL;
    }
    *alert = *from;
    alert->refs = 1;
    struct tly_alert_pair *pairs = (struct tly_alert_pair *)(alert + 1);
    char *texts = (char *)(pairs + pair_count);
    pairs_copy(pairs, &texts, from->labels, from->label_count);
    pairs_copy(pairs + from->label_count, &texts, from->annotations, from->annotation_count);
    alert->labels = pairs;
    alert->annotations = pairs + from->label_count;
    alert->rule = text_copy(&texts, from->rule);
    alert->group = text_copy(&texts, from->group);
    alert->file = text_copy(&texts, from->file);
    alert->query = text_copy(&texts, from->query);
    return alert;
}

struct tly_alert *tly_alert_ref(struct tly_alert *alert)
{
    __atomic_add_fetch(&alert->refs, 1, __ATOMIC_RELAXED);
    return alert;
}

void tly_alert_unref(struct tly_alert *alert)
{
    if (alert && __atomic_sub_fetch(&alert->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(alert);
    }
}

struct tly_text tly_alert_label(const struct tly_alert *alert, struct tly_text name)
{
    for (size_t i = 0; i < alert->label_count; i++) {
        if (tly_text_equal(alert->labels[i].name, name)) {
            return alert->labels[i].value;
        }
    }
    return (struct tly_text){NULL, 0};
}

/* ---- the feed ---- */

int tly_alert_feed_listen(struct tly_alert_feed *feed, tly_alert_fn tell, void *arg)
{
    if (feed->count == TLY_ALERT_LISTENERS_MAX) {
        return TLY_E_LIMIT;
    }
    feed->listeners[feed->count].tell = tell;
    feed->listeners[feed->count].arg = arg;
    feed->count++;
    return 0;
}

void tly_alert_feed_unlisten(struct tly_alert_feed *feed, tly_alert_fn tell, void *arg)
{
    for (size_t i = 0; i < feed->count; i++) {
        if (feed->listeners[i].tell == tell && feed->listeners[i].arg == arg) {
            feed->count--;
            feed->listeners[i] = feed->listeners[feed->count];
            return;
        }
    }
}

void tly_alert_feed_tell(const struct tly_alert_feed *feed, struct tly_alert *alert, unsigned news)
{
    for (size_t i = 0; i < feed->count; i++) {
        feed->listeners[i].tell(feed->listeners[i].arg, alert, news);
    }
}
