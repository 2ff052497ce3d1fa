/* A process that may open no descriptor more, or few: its limit, which holds for all of it. */
#ifndef TLY_TESTS_DESCRIPTORS_H
#define TLY_TESTS_DESCRIPTORS_H

#include "tests/unit/unit.h"

#include <sys/resource.h>
#include <unistd.h>

/* Leaves at most `spare` that can be opened; the limit as it was. */
static inline struct rlimit descriptors_leave(rlim_t spare)
{
    struct rlimit whole;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &whole), 0);
    int next = dup(STDERR_FILENO); /* the lowest that is free */
    assert_true(next >= 0);
    assert_int_equal(close(next), 0);
    struct rlimit narrow = {(rlim_t)next + spare, whole.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &narrow), 0);
    return whole;
}

static inline void descriptors_restore(const struct rlimit *whole)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, whole), 0);
}

#endif
