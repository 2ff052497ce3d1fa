/*
 * What unit tests share: cmocka with the headers that it wants before it, the length of a table of
 * rows, comparison of texts, and a folder of the test's own.
 */
#ifndef TLY_TESTS_UNIT_H
#define TLY_TESTS_UNIT_H

#include "agent/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/mman.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Says both texts where they differ; `text` may hold any byte. */
static inline void expect_text(struct tly_text text, const char *expected)
{
    if (!tly_text_equal(text, tly_text_of(expected))) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.len, text.len > 0 ? text.at : "", expected);
    }
}

/* Memory for a text of a page at most: the byte behind its end, `end`, cannot be read, by machine
 * code made at run time neither, which no sanitizer watches. */
struct guarded {
    char *page;
    char *end;
};

enum { GUARDED_MAX = 4096 };

static inline struct guarded guarded_make(void)
{
    char *page = mmap(NULL, 2UL * GUARDED_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    assert_true(page != MAP_FAILED);
    assert_int_equal(mprotect(page + GUARDED_MAX, GUARDED_MAX, PROT_NONE), 0);
    return (struct guarded){page, page + GUARDED_MAX};
}

static inline void guarded_done(const struct guarded *guarded)
{
    assert_int_equal(munmap(guarded->page, 2UL * GUARDED_MAX), 0);
}

/* The text, at the end. */
static inline struct tly_text guarded_text(const struct guarded *guarded, struct tly_text text)
{
    assert_in_range(text.len, 0, GUARDED_MAX);
    memcpy(guarded->end - text.len, text.at, text.len);
    return (struct tly_text){guarded->end - text.len, text.len};
}

#define TEMP_DIR_MAX 64

/* Makes an empty folder, where TMPDIR says; its name goes to `to`. */
static inline void temp_dir_make(char to[TEMP_DIR_MAX])
{
    const char *top = getenv("TMPDIR");
    int len = snprintf(to, TEMP_DIR_MAX, "%s/tally-unit-XXXXXX", top ? top : "/tmp");
    assert_in_range(len, 1, TEMP_DIR_MAX - 1);
    assert_non_null(mkdtemp(to));
}

/* Removes the folder with all that is in it. */
static inline void temp_dir_remove(const char *path)
{
    char command[TEMP_DIR_MAX + sizeof("rm -rf -- ")];
    (void)snprintf(command, sizeof(command), "rm -rf -- %s", path);
    assert_int_equal(system(command), 0);
}

#endif
