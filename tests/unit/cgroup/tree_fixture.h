/*
 * A cgroup tree made of plain files, and the samples that a reading of it yields.
 */
#ifndef TLY_TESTS_CGROUP_TREE_FIXTURE_H
#define TLY_TESTS_CGROUP_TREE_FIXTURE_H

#include "agent/model/sample.h"
#include "tests/unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE_PATH 512

/* base/path/name. */
static inline void fixture_path(char to[FIXTURE_PATH], const char *base, const char *path,
                                const char *name)
{
    int len = snprintf(to, FIXTURE_PATH, "%s/%s/%s", base, path, name);
    assert_true(len > 0 && len < FIXTURE_PATH);
}

static inline void fixture_remove(const char *base, const char *path, const char *name)
{
    char full[FIXTURE_PATH];
    fixture_path(full, base, path, name);
    assert_int_equal(unlink(full), 0);
}

/* Writes base/path/name; the folders are there. */
static inline void fixture_write(const char *base, const char *path, const char *name,
                                 const char *text)
{
    char full[FIXTURE_PATH];
    fixture_path(full, base, path, name);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* mkdir -p. */
static inline void fixture_folder(const char *base, const char *path)
{
    char full[FIXTURE_PATH];
    fixture_path(full, base, path, "");
    (void)mkdir(base, 0755); /* it may be there already, as any of them */
    for (char *slash = strchr(full + strlen(base) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0755);
        *slash = '/';
    }
}

/* The value with these labels in a set, or INT64_MIN. */
static inline int64_t fixture_value(const struct tly_sample_set *set, enum tly_family_id family,
                                    const char *labels)
{
    for (size_t i = 0; set != NULL && i < tly_sample_set_count(set); i++) {
        const struct tly_sample *sample = &tly_sample_set_at(set)[i];
        if (sample->family == family &&
            tly_text_equal(tly_sample_set_dim(set, sample->dim), tly_text_of(labels))) {
            return sample->raw;
        }
    }
    return INT64_MIN;
}

#endif
