/*
 * The reply of /system/df; see engine_usage.h.
 */
#include "agent/codec/engine_usage.h"

#include "agent/codec/json.h"

/* Sums that stay at the greatest number rather than overflow; what is negative is unknown. */
static void add(int64_t *to, int64_t value)
{
    if (value > 0 && __builtin_add_overflow(*to, value, to)) {
        *to = INT64_MAX;
    }
}

static int64_t number_of(const json_t *object, const char *key)
{
    int64_t value = 0;
    return tly_json_int(object, key, &value) && value >= 0 ? value : -1;
}

/* ---- API 1.52 and later ---- */

static void fill_sums(const json_t *root, const char *key, struct tly_engine_usage *usage,
                      enum tly_usage_kind kind)
{
    const json_t *sums = json_object_get(root, key);
    if (json_is_object(sums)) {
        usage->of[kind].total = number_of(sums, "TotalCount");
        usage->of[kind].active = number_of(sums, "ActiveCount");
        usage->of[kind].bytes = number_of(sums, "TotalSize");
        usage->of[kind].reclaimable_bytes = number_of(sums, "Reclaimable");
    }
}

/* ---- before: one function for each list, called with each of its elements ---- */

struct sums {
    int64_t active, bytes, reclaimable;
};

static void add_image(const json_t *image, struct sums *sums)
{
    int64_t size = number_of(image, "Size");
    int64_t shared = number_of(image, "SharedSize");
    int64_t containers = number_of(image, "Containers");
    sums->active += containers > 0;
    /* What images that are in use have for themselves alone can't be won back. */
    if (containers > 0 && size >= 0 && shared >= 0) {
        add(&sums->bytes, size - shared);
    }
}

static void add_container(const json_t *container, struct sums *sums)
{
    struct tly_text state = tly_json_text(container, "State");
    int64_t size = number_of(container, "SizeRw");
    bool active = tly_text_equal(state, TLY_TEXT("running")) ||
                  tly_text_equal(state, TLY_TEXT("paused")) ||
                  tly_text_equal(state, TLY_TEXT("restarting"));
    sums->active += active;
    add(&sums->bytes, size);
    add(&sums->reclaimable, active ? 0 : size);
}

static void add_volume(const json_t *volume, struct sums *sums)
{
    const json_t *data = json_object_get(volume, "UsageData");
    int64_t size = number_of(data, "Size");
    int64_t users = number_of(data, "RefCount");
    sums->active += users > 0;
    add(&sums->bytes, size);
    add(&sums->reclaimable, users == 0 ? size : 0);
}

static void add_cache(const json_t *record, struct sums *sums)
{
    bool used = tly_json_true(record, "InUse");
    int64_t size = tly_json_true(record, "Shared") ? 0 : number_of(record, "Size");
    sums->active += used;
    add(&sums->bytes, size);
    add(&sums->reclaimable, used ? 0 : size);
}

static void fill_list(const json_t *root, const char *key,
                      void (*add_one)(const json_t *element, struct sums *sums),
                      struct tly_engine_usage *usage, enum tly_usage_kind kind)
{
    const json_t *list = json_object_get(root, key);
    struct sums sums = {0};
    /* The engine writes null for an empty list. */
    if (!json_is_array(list) && !json_is_null(list)) {
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        add_one(json_array_get(list, i), &sums);
    }
    usage->of[kind].total = (int64_t)json_array_size(list);
    usage->of[kind].active = sums.active;
    usage->of[kind].bytes = sums.bytes;
    usage->of[kind].reclaimable_bytes = sums.reclaimable;
}

/* Layers are shared, so that the engine's own sum over them is the size of all. */
static void fill_images(const json_t *root, struct tly_engine_usage *usage)
{
    int64_t layers = number_of(root, "LayersSize");
    fill_list(root, "Images", add_image, usage, TLY_USAGE_IMAGES);
    int64_t used = usage->of[TLY_USAGE_IMAGES].bytes;
    usage->of[TLY_USAGE_IMAGES].bytes = layers;
    usage->of[TLY_USAGE_IMAGES].reclaimable_bytes = layers < 0 || used < 0 ? -1
                                                    : layers > used        ? layers - used
                                                                           : 0;
}

int tly_engine_usage_parse(struct tly_text json, struct tly_engine_usage *ret_usage,
                           struct tly_error *err)
{
    json_auto_t *root = NULL;
    struct tly_engine_usage usage;
    int rc = tly_json_parse(json, &root, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t kind = 0; kind < TLY_USAGE_KINDS; kind++) {
        usage.of[kind].total = usage.of[kind].active = -1;
        usage.of[kind].bytes = usage.of[kind].reclaimable_bytes = -1;
    }
    fill_images(root, &usage);
    fill_list(root, "Containers", add_container, &usage, TLY_USAGE_CONTAINERS);
    fill_list(root, "Volumes", add_volume, &usage, TLY_USAGE_VOLUMES);
    fill_list(root, "BuildCache", add_cache, &usage, TLY_USAGE_BUILD_CACHE);
    fill_sums(root, "ImageUsage", &usage, TLY_USAGE_IMAGES);
    fill_sums(root, "ContainerUsage", &usage, TLY_USAGE_CONTAINERS);
    fill_sums(root, "VolumeUsage", &usage, TLY_USAGE_VOLUMES);
    fill_sums(root, "BuildCacheUsage", &usage, TLY_USAGE_BUILD_CACHE);
    *ret_usage = usage;
    return 0;
}
