/*
 * The web configuration file as text: what holds after it, what is refused, and the priority string
 * that its TLS part becomes. Certificates and clients are tested against OpenSSL elsewhere.
 */
#include "agent/web/policy.h"
#include "agent/web/tls.h"
#include "tests/unit/unit.h"

#include <gnutls/gnutls.h>

#define HASH   "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
#define HASH_7 "$2y$07$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static void test_defaults(void **state)
{
    (void)state;
    struct tly_complaints complaints;
    struct tly_web_policy *policy;
    assert_int_equal(tly_web_policy_parse("", 0, &complaints, &policy), 0);
    assert_null(policy->tls);
    assert_null(policy->dummy_hash);
    assert_int_equal(policy->users->count, 0);
    assert_int_equal(policy->rate->interval_ms, 0);
    assert_false(tly_web_policy_authenticates(policy));
    for (size_t i = 0; i < TLY_WEB_HEADERS; i++) {
        assert_null(policy->http->headers.values[i]);
    }
    assert_ptr_equal(tly_web_policy_ref(policy), policy);
    tly_web_policy_unref(policy);
    tly_web_policy_unref(policy);
    tly_web_policy_unref(NULL);
}

static void test_values(void **state)
{
    (void)state;
    static const char text[] = "basic_auth_users:\n  bob: " HASH "\n  eve: " HASH_7 "\n"
                               "rate_limit: {interval: 1m30s, burst: 7}\n"
                               "http_server_config:\n  http2: true\n  headers:\n"
                               "    X-XSS-Protection: \"1\"\n    X-Frame-Options: \"\"\n";
    struct tly_complaints complaints;
    struct tly_web_policy *policy;
    assert_int_equal(tly_web_policy_parse(text, strlen(text), &complaints, &policy), 0);
    assert_true(tly_web_policy_authenticates(policy));
    assert_string_equal(policy->users->at[1].name, "eve");
    assert_string_equal(policy->users->at[1].value, HASH_7);
    /* as dear as the dearest, and of the right length */
    assert_int_equal(tly_bcrypt_cost(policy->dummy_hash), 7);
    assert_int_equal(strlen(policy->dummy_hash), TLY_BCRYPT_LEN);
    assert_int_equal(policy->rate->interval_ms, 90000);
    assert_int_equal(policy->rate->burst, 7);
    assert_string_equal(tly_web_header_names[3], "X-XSS-Protection");
    assert_string_equal(policy->http->headers.values[3], "1");
    tly_web_policy_unref(policy);
}

#define PAIR "tls_server_config:\n  cert: c\n  key: k\n"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"basic_auth_users: {bob: secret}", "not a bcrypt hash"},
        {"basic_auth_users: {bob: \"" HASH "x\"}", "not a bcrypt hash"},
        {"basic_auth_users: {bob: $2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW}",
         "not a bcrypt hash"},
        {"basic_auth_users: {bob: $2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW}",
         "bcrypt's cost is 3"},
        {"basic_auth_users: {bob: $2a$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW}",
         "not a bcrypt hash"},
        {"basic_auth_users: {\"a:b\": " HASH "}", "has no colon"},
        {"basic_auth_users: {\"\": " HASH "}", "not empty"},
        {"basic_auth_users: [bob]", "lines belong here"},
        {"rate_limit: {interval: soon}", "not a duration"},
        {"http_server_config: {headers: {X-XSS-Protection: \"a\\r\\nSet-Cookie: b\"}}",
         "one line without control characters"},
        {"http_server_config: {headers: {X-Content-Type-Options: sniff}}", "`nosniff`"},
        {"tls_server_config: {cert: c}", "`key_file` is missing"},
        {"tls_server_config: {key: k}", "`cert_file` is missing"},
        {PAIR "  cert_file: f\n", "either `cert` or `cert_file`"},
        {PAIR "  min_version: TLS13\n  max_version: TLS12\n", "`min_version` is above"},
        {PAIR "  min_version: SSL3\n", "`SSL3` is not a choice"},
        {PAIR "  client_ca: x\n", "no client would be asked"},
        {PAIR "  client_ca: x\n  client_ca_file: y\n  client_auth_type: RequestClientCert\n",
         "either `client_ca` or"},
        {PAIR "  client_auth_type: RequireAndVerifyClientCert\n", "needs `client_ca_file`"},
        {PAIR "  client_auth_type: VerifyClientCertIfGiven\n", "needs `client_ca_file`"},
        {PAIR "  client_allowed_sans: [a]\n", "no client would be asked"},
        {PAIR "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", "no cipher suite that is known"},
        {PAIR "  curve_preferences: [P256]\n", "`P256` is no curve"},
        {"tls_server_config: {cipher_suites: [TLS_AES_128_GCM_SHA256]}", "there is no TLS"},
        {"tls_server_config: {client_auth_type: RequestClientCert}", "there is no TLS"},
        {PAIR, "are of no use together"},
        {"a: 1\n---\nb: 2\n", "second YAML document"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_complaints complaints;
        struct tly_web_policy *policy;
        assert_int_equal(
            tly_web_policy_parse(rows[i].text, strlen(rows[i].text), &complaints, &policy),
            TLY_E_MALFORMED);
        assert_true(complaints.count > 0);
        if (strstr(complaints.at[0].text, rows[i].says) == NULL) {
            fail_msg("%s\n%s", rows[i].text, complaints.at[0].text);
        }
        assert_null(strstr(complaints.at[0].text, "secret"));
        assert_null(strstr(complaints.at[0].text, "CCCC"));
    }
}

static void test_priorities(void **state)
{
    (void)state;
    static char rsa_gcm[] = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    static char ecdsa_gcm[] = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    static char cbc[] = "TLS_RSA_WITH_AES_256_CBC_SHA";
    static char p256[] = "CurveP256";
    static char x25519[] = "X25519";
    char *both[] = {rsa_gcm, ecdsa_gcm};
    char *old[] = {cbc};
    char *curves[] = {x25519, p256};
    const struct {
        struct tly_web_tls_settings settings;
        const char *priority;
    } rows[] = {
        {{.min_version = TLY_WEB_TLS12, .max_version = TLY_WEB_TLS13, .prefer_server = true},
         "NORMAL:-RSA:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"},
        {{.min_version = TLY_WEB_TLS10, .max_version = TLY_WEB_TLS11, .curves = {curves, 2}},
         "NORMAL:-RSA:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0:-GROUP-ALL:+GROUP-X25519:+GROUP-"
         "SECP256R1"},
        {{.min_version = TLY_WEB_TLS12, .max_version = TLY_WEB_TLS13, .cipher_suites = {both, 2}},
         "NONE:+COMP-NULL:+SIGN-ALL:+CTYPE-X509:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-RSA:+AES-128-GCM:"
         "+AEAD:+ECDHE-ECDSA:+GROUP-ALL"},
        /* none of TLS 1.3's ciphers: it is not offered */
        {{.min_version = TLY_WEB_TLS12,
          .max_version = TLY_WEB_TLS13,
          .cipher_suites = {old, 1},
          .curves = {curves, 1}},
         "NONE:+COMP-NULL:+SIGN-ALL:+CTYPE-X509:+VERS-TLS1.2:+RSA:+AES-256-CBC:+SHA1:+GROUP-"
         "X25519"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_buf buf;
        tly_buf_init(&buf, 1024);
        assert_int_equal(tly_web_tls_priority(&rows[i].settings, &buf), 0);
        expect_text(tly_buf_text(&buf), rows[i].priority);
        gnutls_priority_t priority;
        assert_int_equal(gnutls_priority_init(&priority, rows[i].priority, NULL), 0);
        gnutls_priority_deinit(priority);
        tly_buf_done(&buf);
    }
}

/* Every suite and curve that is known is known to GnuTLS as well. */
static void test_all_names(void **state)
{
    (void)state;
    static const char *const suites[] = {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
    };
    static const char *const curves[] = {"CurveP256", "CurveP384", "CurveP521", "X25519"};
    struct tly_error err;
    for (size_t i = 0; i < ROWS(suites); i++) {
        assert_int_equal(tly_web_tls_verify_suite(suites[i], &err), 0);
    }
    for (size_t i = 0; i < ROWS(curves); i++) {
        assert_int_equal(tly_web_tls_verify_curve(curves[i], &err), 0);
    }
    assert_true(tly_web_tls_verify_suite("", &err) < 0);
    assert_true(tly_web_tls_verify_curve("", &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_all_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
