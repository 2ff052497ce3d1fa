/*
 * The option tables of the web configuration file. Keys, defaults and choices are those of the
 * exporters' format; where that would let a mistake open the server (client certificates that
 * nobody verifies), the file is refused.
 */
#include "agent/base/text.h"
#include "agent/web/policy.h"
#include "agent/web/tls.h"

#include <errno.h>

/* Four rounds of doubling above the usual cost of 10 to 12: some seconds for each password. */
#define BCRYPT_COST_MIN 4
#define BCRYPT_COST_MAX 16

#define BURST_MAX       1000000
#define INTERVAL_MAX_MS 3600000

/* ---- tls_server_config ---- */

static const char *const client_auths[] = {
    [TLY_WEB_NO_CLIENT_CERT] = "NoClientCert",
    [TLY_WEB_REQUEST_CLIENT_CERT] = "RequestClientCert",
    [TLY_WEB_REQUIRE_ANY_CLIENT_CERT] = "RequireAnyClientCert",
    [TLY_WEB_VERIFY_CLIENT_CERT_IF_GIVEN] = "VerifyClientCertIfGiven",
    [TLY_WEB_REQUIRE_AND_VERIFY_CLIENT_CERT] = "RequireAndVerifyClientCert",
    [TLY_WEB_REQUIRE_CLIENT_CERT] = "RequireClientCert",
    NULL,
};

static const char *const versions[] = {[TLY_WEB_TLS10] = "TLS10",
                                       [TLY_WEB_TLS11] = "TLS11",
                                       [TLY_WEB_TLS12] = "TLS12",
                                       [TLY_WEB_TLS13] = "TLS13",
                                       NULL};

static const struct tly_option tls_rows[] = {
    {.key = "cert",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_web_tls_settings, cert)},
    {.key = "cert_file",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_web_tls_settings, cert_file)},
    {.key = "key", .type = TLY_OPTION_SECRET, .offset = offsetof(struct tly_web_tls_settings, key)},
    /* The row of `key` reads the file; this one keeps its name, to see when it changes. */
    {.key = "key_file",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_web_tls_settings, key_file)},
    {.key = "client_ca",
     .type = TLY_OPTION_STRING,
     .offset = offsetof(struct tly_web_tls_settings, client_ca)},
    {.key = "client_ca_file",
     .type = TLY_OPTION_PATH,
     .offset = offsetof(struct tly_web_tls_settings, client_ca_file)},
    {.key = "client_auth_type",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct tly_web_tls_settings, client_auth),
     .fallback = "NoClientCert",
     .choices = client_auths},
    {.key = "client_allowed_sans",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_web_tls_settings, allowed_sans)},
    {.key = "min_version",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct tly_web_tls_settings, min_version),
     .fallback = "TLS12",
     .choices = versions},
    {.key = "max_version",
     .type = TLY_OPTION_ENUM,
     .offset = offsetof(struct tly_web_tls_settings, max_version),
     .fallback = "TLS13",
     .choices = versions},
    {.key = "cipher_suites",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_web_tls_settings, cipher_suites),
     .verify = tly_web_tls_verify_suite},
    {.key = "prefer_server_cipher_suites",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_web_tls_settings, prefer_server),
     .fallback = "true"},
    {.key = "curve_preferences",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_web_tls_settings, curves),
     .verify = tly_web_tls_verify_curve},
    {.key = NULL},
};

static int verify_client_auth(const struct tly_web_tls_settings *tls, struct tly_error *err)
{
    bool authorities = tls->client_ca != NULL || tls->client_ca_file != NULL;
    bool verifies = tls->client_auth == TLY_WEB_VERIFY_CLIENT_CERT_IF_GIVEN ||
                    tls->client_auth == TLY_WEB_REQUIRE_AND_VERIFY_CLIENT_CERT;
    if (tls->client_ca != NULL && tls->client_ca_file != NULL) {
        return tly_error_set(err, -EINVAL, "either `client_ca` or `client_ca_file`, not both");
    }
    if (authorities && tls->client_auth == TLY_WEB_NO_CLIENT_CERT) {
        return tly_error_set(err, -EINVAL,
                             "`client_ca` or `client_ca_file` without a `client_auth_type`: no "
                             "client would be asked for a certificate; write `client_auth_type: "
                             "RequireAndVerifyClientCert`");
    }
    if (verifies && !authorities) {
        return tly_error_set(err, -EINVAL,
                             "`client_auth_type: %s` needs `client_ca_file`, the authorities by "
                             "which a client's certificate is verified",
                             client_auths[tls->client_auth]);
    }
    if (tls->allowed_sans.count > 0 && tls->client_auth == TLY_WEB_NO_CLIENT_CERT) {
        return tly_error_set(err, -EINVAL,
                             "`client_allowed_sans` without a `client_auth_type`: no client would "
                             "be asked for a certificate");
    }
    return 0;
}

static int verify_tls(const void *value, struct tly_error *err)
{
    const struct tly_web_tls_settings *tls = value;
    bool cert = tls->cert != NULL || tls->cert_file != NULL;
    if (tls->cert != NULL && tls->cert_file != NULL) {
        return tly_error_set(err, -EINVAL, "either `cert` or `cert_file`, not both");
    }
    if (cert != (tls->key != NULL)) {
        return tly_error_set(err, -EINVAL, "a certificate and its key go together: %s is missing",
                             cert ? "`key_file`" : "`cert_file`");
    }
    if (tls->min_version > tls->max_version) {
        return tly_error_set(err, -EINVAL, "`min_version` is above `max_version`");
    }
    if (!cert && (tls->client_auth != TLY_WEB_NO_CLIENT_CERT || tls->client_ca != NULL ||
                  tls->client_ca_file != NULL || tls->allowed_sans.count > 0 ||
                  tls->cipher_suites.count > 0 || tls->curves.count > 0)) {
        return tly_error_set(err, -EINVAL,
                             "without `cert_file` and `key_file` there is no TLS, and nothing else "
                             "here would have an effect");
    }
    return verify_client_auth(tls, err);
}

static const struct tly_section tls_section = {.key = "tls_server_config",
                                               .type = TLY_OPTION_SECTION,
                                               .options = tls_rows,
                                               .size = sizeof(struct tly_web_tls_settings),
                                               .verify = verify_tls};

/* ---- http_server_config ---- */

enum { HEADER_HSTS, HEADER_FRAME, HEADER_TYPE, HEADER_XSS, HEADER_CSP };

const char *const tly_web_header_names[TLY_WEB_HEADERS] = {
    [HEADER_HSTS] = "Strict-Transport-Security", [HEADER_FRAME] = "X-Frame-Options",
    [HEADER_TYPE] = "X-Content-Type-Options",    [HEADER_XSS] = "X-XSS-Protection",
    [HEADER_CSP] = "Content-Security-Policy",
};

static int verify_header(const char *value, struct tly_error *err)
{
    for (const char *at = value; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7F) {
            return tly_error_set(err, -EINVAL, "a header is one line without control characters");
        }
    }
    return 0;
}

static int verify_frame(const char *value, struct tly_error *err)
{
    bool known = *value == '\0' || strcmp(value, "deny") == 0 || strcmp(value, "sameorigin") == 0;
    return known ? 0 : tly_error_set(err, -EINVAL, "it is `deny`, `sameorigin`, or left out");
}

static int verify_type(const char *value, struct tly_error *err)
{
    bool known = *value == '\0' || strcmp(value, "nosniff") == 0;
    return known ? 0 : tly_error_set(err, -EINVAL, "it is `nosniff`, or left out");
}

#define HEADER_ROW(name, which, check)                                                             \
    {                                                                                              \
        .key = (name), .type = TLY_OPTION_STRING, .offset = (which) * sizeof(char *),              \
        .verify = (check)                                                                          \
    }
static const struct tly_option header_rows[] = {
    HEADER_ROW("Strict-Transport-Security", HEADER_HSTS, verify_header),
    HEADER_ROW("X-Frame-Options", HEADER_FRAME, verify_frame),
    HEADER_ROW("X-Content-Type-Options", HEADER_TYPE, verify_type),
    HEADER_ROW("X-XSS-Protection", HEADER_XSS, verify_header),
    HEADER_ROW("Content-Security-Policy", HEADER_CSP, verify_header),
    {.key = NULL},
};

static const struct tly_option http_rows[] = {
    {.key = "http2",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_web_http_settings, http2),
     .fallback = "true"},
    {.key = "headers",
     .type = TLY_OPTION_SECTION,
     .offset = offsetof(struct tly_web_http_settings, headers),
     .inner = header_rows},
    {.key = NULL},
};

static const struct tly_section http_section = {.key = "http_server_config",
                                                .type = TLY_OPTION_SECTION,
                                                .options = http_rows,
                                                .size = sizeof(struct tly_web_http_settings)};

/* ---- basic_auth_users ---- */

int tly_bcrypt_cost(const char *hash)
{
    return (hash[4] - '0') * 10 + (hash[5] - '0');
}

/* What `htpasswd -nB` writes. The hash itself is never repeated in a message. */
static int verify_hash(const char *value, struct tly_error *err)
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    bool ok = strlen(value) == TLY_BCRYPT_LEN && strncmp(value, "$2", 2) == 0 &&
              strchr("aby", value[2]) != NULL && value[3] == '$' && value[6] == '$' &&
              strspn(value + 7, digits) == TLY_BCRYPT_LEN - 7 && value[4] >= '0' &&
              value[4] <= '3' && value[5] >= '0' && value[5] <= '9';
    if (!ok) {
        return tly_error_set(err, -EINVAL,
                             "not a bcrypt hash, which has 60 characters and begins with $2y$, "
                             "$2b$ or $2a$; `htpasswd -nB -C 10 NAME` makes one");
    }
    int cost = tly_bcrypt_cost(value);
    if (cost < BCRYPT_COST_MIN || cost > BCRYPT_COST_MAX) {
        return tly_error_set(err, -EINVAL,
                             "bcrypt's cost is %d; allowed is %d to %d, and 10 is usual: each step "
                             "doubles the time that every password takes",
                             cost, BCRYPT_COST_MIN, BCRYPT_COST_MAX);
    }
    return 0;
}

static const struct tly_option user_row[] = {
    {.key = "", .type = TLY_OPTION_STRING, .verify = verify_hash},
    {.key = NULL},
};

static int verify_users(const void *value, struct tly_error *err)
{
    const struct tly_pairs *users = value;
    for (size_t i = 0; i < users->count; i++) {
        if (*users->at[i].name == '\0' || strchr(users->at[i].name, ':') != NULL) {
            return tly_error_set(err, -EINVAL,
                                 "a user's name is not empty and has no colon, which separates it "
                                 "from the password");
        }
    }
    return 0;
}

static const struct tly_section users_section = {.key = "basic_auth_users",
                                                 .type = TLY_OPTION_PAIRS,
                                                 .options = user_row,
                                                 .size = sizeof(struct tly_pairs),
                                                 .verify = verify_users};

/* ---- rate_limit ---- */

static const struct tly_option rate_rows[] = {
    {.key = "interval",
     .type = TLY_OPTION_DURATION,
     .offset = offsetof(struct tly_web_rate_settings, interval_ms),
     .fallback = "0",
     .max = INTERVAL_MAX_MS},
    {.key = "burst",
     .type = TLY_OPTION_INT,
     .offset = offsetof(struct tly_web_rate_settings, burst),
     .fallback = "1",
     .min = 1,
     .max = BURST_MAX},
    {.key = NULL},
};

static const struct tly_section rate_section = {.key = "rate_limit",
                                                .type = TLY_OPTION_SECTION,
                                                .options = rate_rows,
                                                .size = sizeof(struct tly_web_rate_settings)};

const struct tly_section *const tly_web_policy_sections[TLY_WEB_SECTIONS] = {
    [TLY_WEB_SECTION_TLS] = &tls_section,
    [TLY_WEB_SECTION_HTTP] = &http_section,
    [TLY_WEB_SECTION_USERS] = &users_section,
    [TLY_WEB_SECTION_RATE] = &rate_section,
};
