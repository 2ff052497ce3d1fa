/*
 * Secrets from files: who may read them, and what they may hold.
 */
#include "agent/config/secret.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[TEMP_DIR_MAX];
static char path[TEMP_DIR_MAX + sizeof("/secret")];

static int make_folder(void **state)
{
    (void)state;
    temp_dir_make(folder);
    (void)snprintf(path, sizeof(path), "%s/secret", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void write_file(const char *bytes, size_t len, mode_t mode)
{
    (void)unlink(path); /* maybe not there */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        mode_t mode;
        int rc;
        const char *expected; /* the secret, or a part of the message */
    } rows[] = {
        {"s3cret", 6, 0600, 0, "s3cret"},          {"s3cret\n", 7, 0640, 0, "s3cret"},
        {"s3cret\r\n", 8, 0400, 0, "s3cret"},      {" a b \n\n", 7, 0600, 0, " a b \n"},
        {"s3cret", 6, 0644, -EPERM, "chmod o="},   {"s3cret", 6, 0602, -EPERM, "chmod o="},
        {"", 0, 0600, TLY_E_MALFORMED, "empty"},   {"\n", 1, 0600, TLY_E_MALFORMED, "empty"},
        {"a\0b", 3, 0600, TLY_E_MALFORMED, "NUL"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file(rows[i].bytes, rows[i].len, rows[i].mode);
        char *secret = NULL;
        struct tly_error err = {0};
        assert_int_equal(tly_secret_read(path, &secret, &err), rows[i].rc);
        if (rows[i].rc == 0) {
            assert_string_equal(secret, rows[i].expected);
        } else {
            assert_null(secret);
            assert_non_null(strstr(err.text, rows[i].expected));
            assert_null(strstr(err.text, "s3cret"));
        }
        tly_secret_free(secret);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    char *bytes = malloc(TLY_SECRET_BYTES_MAX + 1);
    assert_non_null(bytes);
    memset(bytes, 'x', TLY_SECRET_BYTES_MAX + 1);
    write_file(bytes, TLY_SECRET_BYTES_MAX + 1, 0600);
    free(bytes);
    char *secret = NULL;
    struct tly_error err = {0};
    assert_int_equal(tly_secret_read(path, &secret, &err), TLY_E_LIMIT);
}

static void test_no_file(void **state)
{
    (void)state;
    char *secret = NULL;
    struct tly_error err = {0};
    (void)unlink(path); /* maybe not there */
    assert_int_equal(tly_secret_read(path, &secret, &err), -ENOENT);
    assert_int_equal(tly_secret_read(folder, &secret, &err), -EINVAL);
    assert_int_equal(mkfifo(path, 0600), 0); /* without a writer: must not hang */
    assert_int_equal(tly_secret_read(path, &secret, &err), -EINVAL);
    assert_non_null(strstr(err.text, "not a regular file"));
}

/* Files that a library reads: their mode alone is looked at. */
static void test_check(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        int rc;
    } rows[] = {{0600, 0}, {0640, 0}, {0644, -EPERM}, {0602, -EPERM}};
    struct tly_error err = {0};
    (void)unlink(path); /* maybe not there */
    assert_int_equal(tly_secret_check(path, &err), 0);
    assert_int_equal(tly_secret_check(NULL, &err), 0);
    for (size_t i = 0; i < ROWS(rows); i++) {
        write_file("key", 3, rows[i].mode);
        assert_int_equal(tly_secret_check(path, &err), rows[i].rc);
    }
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
