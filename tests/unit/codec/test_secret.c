/*
 * What is taken for a secret, and what is not.
 */
#include "agent/codec/secret.h"
#include "tests/unit/unit.h"

#include <string.h>

#define PRIVATE_KEY                                                                                \
    "-----BEGIN RSA "                                                                              \
    "PRIVATE KEY-----\nMIIEowIBAAKCAQEA0123456789"

static const struct {
    const char *key, *value;
    enum tly_secret_kind kind;
} rows[] = {
    {"DB_PASSWORD", "hunter22", TLY_SECRET_KEY},
    {"dbPassword", "hunter22", TLY_SECRET_KEY},
    {"spring.datasource.password", "hunter22", TLY_SECRET_KEY},
    {"API-KEY", "abcdefgh", TLY_SECRET_KEY},
    {"MYSQL_ROOT_PASSWORD", "root", TLY_SECRET_DEFAULT},
    {"ADMIN_PASS", "changeme", TLY_SECRET_DEFAULT},
    {"SECRET", "x7", TLY_SECRET_KEY},
    {"COMPASS", "north-by-northwest", TLY_SECRET_NONE},
    {"PWD", "/home/app", TLY_SECRET_NONE},
    {"PWD", "secret-place", TLY_SECRET_NONE},
    {"DB_PASSWORD_FILE", "/run/secrets/db", TLY_SECRET_NONE},
    {"DB_PASSWORD", "/run/secrets/db", TLY_SECRET_NONE},
    {"DB_PASSWORD", "${DB_PASSWORD}", TLY_SECRET_NONE},
    {"DB_PASSWORD", "", TLY_SECRET_NONE},
    {"DB_PASSWORD", "********", TLY_SECRET_NONE},
    {"DB_PASSWORD", "xxxxxxxx", TLY_SECRET_NONE},
    {"TOKEN", "true", TLY_SECRET_NONE},
    {"TOKEN_TTL", "3600", TLY_SECRET_NONE},
    {"SSH_PUBLIC_KEY", "ssh-ed25519 AAAA", TLY_SECRET_NONE},
    {"GPG_KEYS", "1198C0117593497A5EC5C199286AF1F9897469DC", TLY_SECRET_NONE},
    {"MYSQL_ALLOW_EMPTY_PASSWORD", "yes-please", TLY_SECRET_NONE},
    {"ANY",
     "ghp_"
     "0123456789abcdefghijABCDEFGHIJ012345",
     TLY_SECRET_TOKEN},
    {"ANY",
     "AKIA"
     "IOSFODNN7ABCDEFG",
     TLY_SECRET_TOKEN},
    {"ANY",
     "AKIA"
     "IOSFODNN7EXAMPLE",
     TLY_SECRET_NONE},
    {"ANY",
     "glpat-"
     "01234567890123456789",
     TLY_SECRET_TOKEN},
    {"ANY",
     "hvs."
     "0123456789012345678901234",
     TLY_SECRET_TOKEN},
    {"ANY", PRIVATE_KEY, TLY_SECRET_TOKEN},
    {"DATABASE_URL", "postgres://app:s3cr3t@db/app", TLY_SECRET_TOKEN},
    {"DATABASE_URL", "postgres://app:${PASSWORD}@db/app", TLY_SECRET_NONE},
    {"DATABASE_URL", "postgres://app@db/app", TLY_SECRET_NONE},
    {"PATH", "/usr/local/bin:/usr/bin", TLY_SECRET_NONE},
};

static const struct {
    const char *text;
    enum tly_secret_kind kind;
    const char *key;
} texts[] = {
    {"server --port 80 --password hunter22", TLY_SECRET_KEY, "password"},
    {"server --password=hunter22 --port 80", TLY_SECRET_KEY, "password"},
    {"env DB_PASSWORD='hunter22' server", TLY_SECRET_KEY, "DB_PASSWORD"},
    {"|2 A=b NPM_TOKEN=01234567 /bin/sh -c npm ci", TLY_SECRET_KEY, "NPM_TOKEN"},
    {"curl -H 'Authorization: Bearer 0123456789abcdef' x", TLY_SECRET_TOKEN, ""},
    {"server --password --verbose", TLY_SECRET_NONE, ""},
    {"server --password $PASSWORD", TLY_SECRET_NONE, ""},
    {"server --password-file /run/secrets/p", TLY_SECRET_NONE, ""},
    {"echo the password is stored elsewhere", TLY_SECRET_NONE, ""},
    {"", TLY_SECRET_NONE, ""},
};

static struct tly_secret_shapes *shapes;

static void keys_and_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_secret secret = tly_secret_judge(shapes, tly_text_of(rows[i].key),
                                                    tly_text_of(rows[i].value));
        if (secret.kind != rows[i].kind) {
            fail_msg("%s=%s: %d (%s) instead of %d", rows[i].key, rows[i].value, (int)secret.kind,
                     secret.what, (int)rows[i].kind);
        }
    }
}

static void free_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct tly_text key;
        struct tly_secret secret = tly_secret_find(shapes, tly_text_of(texts[i].text), &key);
        if (secret.kind != texts[i].kind) {
            fail_msg("%s: %d (%s) instead of %d", texts[i].text, (int)secret.kind, secret.what,
                     (int)texts[i].kind);
        }
        if (secret.kind != TLY_SECRET_NONE) {
            expect_text(key, texts[i].key);
        }
    }
}

static int make(void **state)
{
    (void)state;
    return tly_secret_shapes_new(&shapes, NULL);
}

static int drop(void **state)
{
    (void)state;
    tly_secret_shapes_free(shapes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values),
        cmocka_unit_test(free_text),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
