/*
 * Authorization headers: the credentials of those that are right, and nothing of all others.
 */
#include "agent/codec/basic_auth.h"

#include "tests/unit/unit.h"

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        struct tly_text header;
        const char *user; /* NULL: malformed */
        const char *password;
    } rows[] = {
        {TLY_TEXT("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Aladdin", "open sesame"},
        {TLY_TEXT("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ== "), "Aladdin", "open sesame"},
        {TLY_TEXT("BASIC dGVzdDoxMjPCow=="), "test", "123\xc2\xa3"},
        {TLY_TEXT("Basic Og=="), "", ""},
        {TLY_TEXT("Basic YTpiOmM="), "a", "b:c"},
        {TLY_TEXT("Basic YTpi/+8v"), "a", "b\xff\xef/"},
        {TLY_TEXT(""), NULL, NULL},
        {{NULL, 0}, NULL, NULL},
        {TLY_TEXT("Basic"), NULL, NULL},
        {TLY_TEXT("Basic "), NULL, NULL},
        {TLY_TEXT("Basic ="), NULL, NULL},
        {TLY_TEXT("Basic ===="), NULL, NULL},
        {TLY_TEXT("Basic Og="), NULL, NULL},
        {TLY_TEXT("Basic O==="), NULL, NULL},
        {TLY_TEXT("Basic Og==Og=="), NULL, NULL},
        {TLY_TEXT("Basic YTpi_-8v"), NULL, NULL},
        {TLY_TEXT("Basic YT pi"), NULL, NULL},
        {TLY_TEXT("Basic Oh=="), NULL, NULL}, /* bits that belong to no byte */
        {TLY_TEXT("Basic dGVzdDoxMjPCo1=="), NULL, NULL},
        {TLY_TEXT("Basic YTp="), NULL, NULL},
        {TLY_TEXT("Basic YWJj"), NULL, NULL},     /* no colon */
        {TLY_TEXT("Basic YToA"), NULL, NULL},     /* a NUL in the password */
        {TLY_TEXT("Basic AGE6Yg=="), NULL, NULL}, /* and in the name */
        {TLY_TEXT("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), NULL, NULL},
        {TLY_TEXT("Basi\0 QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), NULL, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_basic_auth auth;
        int rc = tly_basic_auth_parse(rows[i].header, &auth);
        if (rc != (rows[i].user ? 0 : TLY_E_MALFORMED)) {
            fail_msg("row %zu: %d", i, rc);
        }
        if (rc == 0) {
            assert_string_equal(auth.user, rows[i].user);
            assert_string_equal(auth.password, rows[i].password);
            tly_basic_auth_wipe(&auth);
            assert_string_equal(auth.password, "");
        }
    }
}

static void test_length(void **state)
{
    (void)state;
    static char header[8192];
    struct tly_basic_auth auth;
    /* 1024 bytes are 1366 digits and two of padding; "Ojo6" is three colons, "OQ==" a nine. */
    size_t len = (size_t)snprintf(header, sizeof(header), "Basic Ojo6");
    memset(header + len, 'O', 1360);
    len += 1360;
    len += (size_t)snprintf(header + len, sizeof(header) - len, "OQ==");
    assert_int_equal(tly_basic_auth_parse((struct tly_text){header, len}, &auth), 0);
    assert_int_equal(strlen(auth.user), 0);
    assert_int_equal(strlen(auth.password), TLY_BASIC_AUTH_BYTES_MAX - 1);
    /* and a quantum more */
    memmove(header + strlen("Basic ") + 4, header + strlen("Basic "), len + 1 - strlen("Basic "));
    assert_int_equal(tly_basic_auth_parse((struct tly_text){header, len + 4}, &auth),
                     TLY_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_length)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
