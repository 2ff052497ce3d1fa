/*
 * What was told of verdicts: the file, and what is news against it.
 */
#include "collectors/posture/change.h"
#include "collectors/posture/told.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static void subject_free(void *subject)
{
    tly_subject_free(subject);
}

static struct tly_subject *subject_of(struct tly_map *map, const char *key)
{
    return tly_map_get(map, tly_text_of(key));
}

static const struct tly_finding *finding_of(const struct tly_subject *subject,
                                            enum tly_posture_id check)
{
    for (size_t i = 0; i < subject->count; i++) {
        if (subject->findings[i].check == check) {
            return &subject->findings[i];
        }
    }
    fail_msg("no finding of %s", tly_posture_checks[check].id);
    return NULL;
}

/* A subject with every check of its target, the given one told as that. */
static struct tly_subject *make(enum tly_target target, const char *id, enum tly_posture_id check,
                                enum tly_status told)
{
    struct tly_subject *subject = calloc(1, sizeof(*subject));
    assert_non_null(subject);
    subject->target = target;
    subject->id = strdup(id);
    subject->findings = calloc(TLY_POSTURE_COUNT, sizeof(*subject->findings));
    for (size_t i = 0; i < TLY_POSTURE_COUNT; i++) {
        if (tly_posture_checks[i].target == target) {
            subject->findings[subject->count++] = (struct tly_finding){
                .check = (enum tly_posture_id)i,
                .told = i == (size_t)check ? told : TLY_STATUS_NA,
                .told_severity = TLY_SEVERITY_CRITICAL};
        }
    }
    return subject;
}

static void test_what_is_written_is_read(void **state)
{
    static const struct {
        enum tly_target target;
        const char *id, *key;
        enum tly_posture_id check;
    } rows[] = {
        {TLY_TARGET_CONTAINER, "3f0c", "container/3f0c", TLY_POSTURE_privileged},
        {TLY_TARGET_IMAGE, "sha256:3f0c", "image/sha256:3f0c", TLY_POSTURE_image_size},
        {TLY_TARGET_DAEMON, "", "daemon/", TLY_POSTURE_icc},
        {TLY_TARGET_HOST, "", "host/", TLY_POSTURE_docker_group},
    };
    (void)state;
    for (int told = 0; told <= TLY_STATUS_COUNT; told++) {
        struct tly_buf buf;
        struct tly_map *read = tly_map_new();
        tly_buf_init(&buf, 1 << 20);
        assert_int_equal(tly_told_write_head(&buf), 0);
        for (size_t i = 0; i < ROWS(rows); i++) {
            struct tly_subject *subject = make(rows[i].target, rows[i].id, rows[i].check,
                                               (enum tly_status)told);
            assert_int_equal(tly_told_write(&buf, subject), 0);
            tly_subject_free(subject);
        }
        assert_int_equal(tly_told_read(tly_buf_text(&buf), 100, read, NULL), 0);
        assert_int_equal(tly_map_count(read), ROWS(rows));
        for (size_t i = 0; i < ROWS(rows); i++) {
            const struct tly_finding *finding = finding_of(subject_of(read, rows[i].key),
                                                           rows[i].check);
            assert_int_equal(finding->told, told);
            assert_int_equal(finding->told_severity, TLY_SEVERITY_CRITICAL);
        }
        tly_map_free(read, subject_free);
        tly_buf_done(&buf);
    }
}

static void test_the_file_of_another_version(void **state)
{
    static const char text[] = "tallyman findings 1\n"
                               "checks container no_longer_there seccomp privileged\n"
                               "container f4p2f3 3f0c\n";
    struct tly_map *read = tly_map_new();
    (void)state;
    assert_int_equal(tly_told_read(TLY_TEXT(text), 100, read, NULL), 0);
    const struct tly_subject *subject = subject_of(read, "container/3f0c");
    assert_int_equal(finding_of(subject, TLY_POSTURE_seccomp)->told, TLY_STATUS_PASS);
    assert_int_equal(finding_of(subject, TLY_POSTURE_privileged)->told, TLY_STATUS_FAIL);
    assert_int_equal(finding_of(subject, TLY_POSTURE_privileged)->told_severity, TLY_SEVERITY_HIGH);
    assert_int_equal(finding_of(subject, TLY_POSTURE_apparmor)->told, TLY_STATUS_COUNT);
    tly_map_free(read, subject_free);
}

static void test_malformed_files(void **state)
{
#define HEAD "tallyman findings 1\n"
    static const struct {
        struct tly_text text;
        const char *says;
    } rows[] = {
        {TLY_TEXT("tallyman findings 2\n"), "line 1"},
        {TLY_TEXT(HEAD "checks\n"), "line 2"},
        {TLY_TEXT(HEAD "checks pod privileged\n"), "line 2"},
        {TLY_TEXT(HEAD "checks host docker_group\nchecks host docker_group\n"), "line 3"},
        {TLY_TEXT(HEAD "container\n"), "line 2"},
        {TLY_TEXT(HEAD "container f4 3f0c\n"), "line 2"}, /* without its checks */
        {TLY_TEXT(HEAD "checks container privileged\ncontainer f 3f0c\n"), "line 3"},
        {TLY_TEXT(HEAD "checks container privileged\ncontainer x4 3f0c\n"), "line 3"},
        {TLY_TEXT(HEAD "checks container privileged\ncontainer f5 3f0c\n"), "line 3"},
        {TLY_TEXT(HEAD "checks container privileged\npod f4 3f0c\n"), "line 3"},
        {TLY_TEXT(HEAD "checks container privileged\ncontainer f4 3\0c\n"), "line 3"},
    };
#undef HEAD
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_map *read = tly_map_new();
        struct tly_error err = {0};
        assert_int_equal(tly_told_read(rows[i].text, 100, read, &err), TLY_E_MALFORMED);
        assert_non_null(strstr(err.text, rows[i].says));
        tly_map_free(read, subject_free);
    }
}

static void test_bounds(void **state)
{
    struct tly_buf buf;
    struct tly_map *read = tly_map_new();
    char id[TLY_TOLD_KEY_MAX];
    (void)state;
    memset(id, 'a', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    tly_buf_init(&buf, 1 << 20);
    assert_int_equal(tly_told_write_head(&buf), 0);
    const char *const ids[] = {"one", id, "two\nlines", "a b", "three", "four"};
    for (size_t i = 0; i < ROWS(ids); i++) { /* those that break the form are left out */
        struct tly_subject *subject = make(TLY_TARGET_CONTAINER, ids[i], TLY_POSTURE_privileged,
                                           TLY_STATUS_FAIL);
        assert_int_equal(tly_told_write(&buf, subject), 0);
        tly_subject_free(subject);
    }
    assert_int_equal(tly_told_read(tly_buf_text(&buf), 2, read, NULL), 0);
    assert_int_equal(tly_map_count(read), 2);
    assert_non_null(subject_of(read, "container/three"));
    tly_map_free(read, subject_free);
    tly_buf_done(&buf);
    tly_buf_init(&buf, 100);
    assert_int_equal(tly_told_write_head(&buf), TLY_E_LIMIT);
    tly_buf_done(&buf);
}

static void test_what_is_news(void **state)
{
    enum { NEVER = TLY_STATUS_COUNT };
    static const struct {
        enum tly_status now;
        int told;
        bool news;
    } rows[] = {
        {TLY_STATUS_FAIL, NEVER, true},
        {TLY_STATUS_WAIVED, NEVER, true},
        {TLY_STATUS_PASS, NEVER, false},
        {TLY_STATUS_UNKNOWN, NEVER, false},
        {TLY_STATUS_FAIL, TLY_STATUS_FAIL, false},
        {TLY_STATUS_FAIL, TLY_STATUS_PASS, true},
        {TLY_STATUS_PASS, TLY_STATUS_FAIL, true},
        {TLY_STATUS_UNKNOWN, TLY_STATUS_FAIL, true},
        {TLY_STATUS_WAIVED, TLY_STATUS_FAIL, true},
        {TLY_STATUS_UNKNOWN, TLY_STATUS_PASS, false},
        {TLY_STATUS_NA, TLY_STATUS_UNKNOWN, false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct tly_finding finding = {.status = rows[i].now, .severity = TLY_SEVERITY_HIGH};
        assert_int_equal(
            tly_posture_is_news(&finding, (enum tly_status)rows[i].told, TLY_SEVERITY_HIGH),
            rows[i].news);
    }
    const struct tly_finding worse = {.status = TLY_STATUS_FAIL, .severity = TLY_SEVERITY_CRITICAL};
    assert_true(tly_posture_is_news(&worse, TLY_STATUS_FAIL, TLY_SEVERITY_HIGH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_the_file_of_another_version),
        cmocka_unit_test(test_malformed_files),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_what_is_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
