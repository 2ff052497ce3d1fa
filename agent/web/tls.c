/*
 * TLS of the web server. Go's names of suites and curves become a GnuTLS priority string: GnuTLS
 * chooses key exchange, cipher and MAC one by one, so that suites which are made of the parts of
 * listed ones are allowed with them.
 */
#include "agent/web/tls.h"

#include "agent/base/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A bundle of all authorities that a system trusts has 220 KB. */
#define PEM_BYTES_MAX      (4U << 20)
#define PRIORITY_BYTES_MAX 2048

struct tly_web_tls {
    const struct tly_web_tls_settings *settings; /* borrowed */
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    int64_t expiry_s;
};

/* ---- priorities ---- */

static const struct suite {
    const char *name, *exchange, *cipher, *mac;
    bool tls13; /* a suite of TLS 1.3, or one whose cipher it has too */
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", NULL, "AES-128-GCM", "AEAD", true},
    {"TLS_AES_256_GCM_SHA384", NULL, "AES-256-GCM", "AEAD", true},
    {"TLS_CHACHA20_POLY1305_SHA256", NULL, "CHACHA20-POLY1305", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA", "AES-128-GCM", "AEAD", true},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA", "AES-128-GCM", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA", "AES-256-GCM", "AEAD", true},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA", "AES-256-GCM", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA", "CHACHA20-POLY1305", "AEAD",
     true},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA", "CHACHA20-POLY1305", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA", "AES-128-CBC", "SHA1", false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA", "AES-128-CBC", "SHA1", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA", "AES-256-CBC", "SHA1", false},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA", "AES-256-CBC", "SHA1", false},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "RSA", "AES-128-GCM", "AEAD", true},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", "RSA", "AES-256-GCM", "AEAD", true},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", "RSA", "AES-128-CBC", "SHA1", false},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "RSA", "AES-256-CBC", "SHA1", false},
};

static const struct {
    const char *name, *group;
} curves[] = {
    {"CurveP256", "SECP256R1"},
    {"CurveP384", "SECP384R1"},
    {"CurveP521", "SECP521R1"},
    {"X25519", "X25519"},
};

enum { SUITES = sizeof(suites) / sizeof(suites[0]), CURVES = sizeof(curves) / sizeof(curves[0]) };

static const struct suite *suite_find(const char *name)
{
    for (size_t i = 0; i < SUITES; i++) {
        if (strcmp(suites[i].name, name) == 0) {
            return &suites[i];
        }
    }
    return NULL;
}

static const char *curve_group(const char *name)
{
    for (size_t i = 0; i < CURVES; i++) {
        if (strcmp(curves[i].name, name) == 0) {
            return curves[i].group;
        }
    }
    return NULL;
}

int tly_web_tls_verify_suite(const char *name, struct tly_error *err)
{
    return suite_find(name) != NULL
               ? 0
               : tly_error_set(err, -EINVAL,
                               "`%.60s` is no cipher suite that is known here; leave the list out "
                               "for those that are safe, or take TLS_ECDHE_RSA_WITH_AES_128_GCM_"
                               "SHA256 and its relatives with ECDSA, AES_256 and CHACHA20_POLY1305",
                               name);
}

int tly_web_tls_verify_curve(const char *name, struct tly_error *err)
{
    return curve_group(name) != NULL
               ? 0
               : tly_error_set(err, -EINVAL,
                               "`%.60s` is no curve that is known here; there are CurveP256, "
                               "CurveP384, CurveP521 and X25519",
                               name);
}

/* Appends ":+word" unless it is there. */
static int add(struct tly_buf *buf, const char *prefix, const char *word)
{
    char item[64];
    (void)snprintf(item, sizeof(item), ":+%s%s:", prefix, word); /* words are short */
    size_t len = strlen(item);
    if (memmem(buf->at, buf->len, item, len) != NULL ||
        (buf->len >= len - 1 && memcmp(buf->at + buf->len - (len - 1), item, len - 1) == 0)) {
        return 0;
    }
    return tly_buf_append(buf, item, len - 1);
}

static bool speaks_tls13(const struct tly_web_tls_settings *settings)
{
    bool any = settings->cipher_suites.count == 0;
    for (size_t i = 0; i < settings->cipher_suites.count; i++) {
        any = any || suite_find(settings->cipher_suites.at[i])->tls13;
    }
    return settings->max_version == TLY_WEB_TLS13 && any;
}

static int add_versions(const struct tly_web_tls_settings *settings, struct tly_buf *buf)
{
    static const char *const names[] = {"TLS1.0", "TLS1.1", "TLS1.2", "TLS1.3"};
    int rc = 0;
    for (int i = settings->max_version; i >= settings->min_version && rc == 0; i--) {
        if (i != TLY_WEB_TLS13 || speaks_tls13(settings)) {
            rc = add(buf, "VERS-", names[i]);
        }
    }
    return rc;
}

static int add_suites(const struct tly_web_tls_settings *settings, struct tly_buf *buf)
{
    int rc = 0;
    for (size_t i = 0; i < settings->cipher_suites.count && rc == 0; i++) {
        const struct suite *suite = suite_find(settings->cipher_suites.at[i]);
        rc = suite->exchange == NULL ? 0 : add(buf, "", suite->exchange);
        rc = rc < 0 ? rc : add(buf, "", suite->cipher);
        rc = rc < 0 ? rc : add(buf, "", suite->mac);
    }
    return rc;
}

int tly_web_tls_priority(const struct tly_web_tls_settings *settings, struct tly_buf *buf)
{
    bool chosen = settings->cipher_suites.count > 0;
    /* Without a list: what GnuTLS takes for good, less key exchange without forward secrecy. */
    int rc = tly_buf_printf(
        buf, "%s", chosen ? "NONE:+COMP-NULL:+SIGN-ALL:+CTYPE-X509" : "NORMAL:-RSA:-VERS-ALL");
    rc = rc < 0 ? rc : add_versions(settings, buf);
    rc = rc < 0 ? rc : add_suites(settings, buf);
    if (rc == 0 && settings->curves.count > 0 && !chosen) {
        rc = tly_buf_printf(buf, ":-GROUP-ALL");
    } else if (rc == 0 && settings->curves.count == 0 && chosen) {
        rc = tly_buf_printf(buf, ":+GROUP-ALL");
    }
    for (size_t i = 0; i < settings->curves.count && rc == 0; i++) {
        rc = add(buf, "GROUP-", curve_group(settings->curves.at[i]));
    }
    if (rc == 0 && settings->prefer_server) {
        rc = tly_buf_printf(buf, ":%%SERVER_PRECEDENCE");
    }
    return rc;
}

static int priority_init(struct tly_web_tls *tls, struct tly_error *err)
{
    if (tls->settings->min_version == TLY_WEB_TLS13 && !speaks_tls13(tls->settings)) {
        return tly_error_set(err, TLY_E_MALFORMED,
                             "`cipher_suites` has none that TLS 1.3 could use, and `min_version` "
                             "allows nothing else");
    }
    struct tly_buf text;
    tly_buf_init(&text, PRIORITY_BYTES_MAX);
    int rc = tly_web_tls_priority(tls->settings, &text);
    rc = rc < 0 ? rc : tly_buf_append(&text, "", 1);
    if (rc < 0) {
        (void)tly_error_set(err, rc, "%s", tly_error_name(rc)); /* rc is returned below */
    } else {
        const char *at = NULL;
        int code = gnutls_priority_init(&tls->priority, text.at, &at);
        if (code < 0) {
            rc = tly_error_set(err, TLY_E_MALFORMED,
                               "this version of GnuTLS can't do what `cipher_suites`, "
                               "`curve_preferences` and the versions ask for: %s at `%.40s`",
                               gnutls_strerror_name(code), at != NULL ? at : "");
        }
    }
    tly_buf_done(&text);
    return rc;
}

/* ---- certificates ---- */

static gnutls_datum_t datum_of(struct tly_text text)
{
    union { /* GnuTLS takes bytes without const, and does not change them */
        const char *given;
        unsigned char *taken;
    } at = {.given = text.at};
    return (gnutls_datum_t){.data = at.taken, .size = (unsigned)text.len};
}

/* The text itself, or the content of the file; `what` names it in messages. */
static int read_pem(const char *what, const char *text, const char *path, struct tly_buf *pem,
                    struct tly_error *err)
{
    TLY_AUTO_FD fd = -1;
    int rc;
    if (path == NULL) {
        rc = tly_buf_append_text(pem, tly_text_of(text));
    } else {
        /* O_NONBLOCK: a FIFO without a writer must not hang the loop. */
        rc = tly_file_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, &fd);
        rc = rc < 0 ? rc : tly_file_read_fd(fd, pem);
    }
    if (rc < 0) {
        return tly_error_set(err, rc, "the %s %s: %s", what, path != NULL ? path : "given here",
                             tly_error_name(rc));
    }
    return 0;
}

static int load_pair(struct tly_web_tls *tls, struct tly_error *err)
{
    const struct tly_web_tls_settings *settings = tls->settings;
    struct tly_buf pem;
    tly_buf_init(&pem, PEM_BYTES_MAX);
    int rc = read_pem("certificate", settings->cert, settings->cert_file, &pem, err);
    if (rc == 0) {
        gnutls_datum_t cert = datum_of(tly_buf_text(&pem));
        gnutls_datum_t key = datum_of(tly_text_of(settings->key));
        int code = gnutls_certificate_set_x509_key_mem(tls->credentials, &cert, &key,
                                                       GNUTLS_X509_FMT_PEM);
        if (code < 0) {
            rc = tly_error_set(err, TLY_E_MALFORMED,
                               "the certificate %s and the key %s are of no use together: %s",
                               settings->cert_file != NULL ? settings->cert_file : "given here",
                               settings->key_file != NULL ? settings->key_file : "given here",
                               gnutls_strerror_name(code));
        }
    }
    tly_buf_done(&pem);
    return rc;
}

static int load_authorities(struct tly_web_tls *tls, struct tly_error *err)
{
    const struct tly_web_tls_settings *settings = tls->settings;
    if (settings->client_ca == NULL && settings->client_ca_file == NULL) {
        return 0;
    }
    struct tly_buf pem;
    tly_buf_init(&pem, PEM_BYTES_MAX);
    int rc = read_pem("authorities", settings->client_ca, settings->client_ca_file, &pem, err);
    if (rc == 0) {
        gnutls_datum_t datum = datum_of(tly_buf_text(&pem));
        int count = gnutls_certificate_set_x509_trust_mem(tls->credentials, &datum,
                                                          GNUTLS_X509_FMT_PEM);
        if (count <= 0) {
            rc = tly_error_set(
                err, TLY_E_MALFORMED, "the authorities %s hold no certificate in PEM form",
                settings->client_ca_file != NULL ? settings->client_ca_file : "given here");
        }
    }
    tly_buf_done(&pem);
    return rc;
}

static int64_t expiry_of(gnutls_certificate_credentials_t credentials)
{
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    if (gnutls_certificate_get_x509_crt(credentials, 0, &chain, &count) < 0) {
        return 0;
    }
    time_t expiry = count > 0 ? gnutls_x509_crt_get_expiration_time(chain[0]) : (time_t)-1;
    for (unsigned i = 0; i < count; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    return expiry == (time_t)-1 ? 0 : expiry;
}

/* ---- clients ---- */

static bool name_allowed(const struct tly_strings *allowed, unsigned type, const char *value,
                         size_t len)
{
    char text[INET6_ADDRSTRLEN];
    if (type == GNUTLS_SAN_IPADDRESS) {
        /* Four bytes or sixteen, and then it can't fail. */
        if ((len != 4 && len != 16) ||
            inet_ntop(len == 4 ? AF_INET : AF_INET6, value, text, sizeof(text)) == NULL) {
            return false;
        }
        value = text;
        len = strlen(text);
    } else if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_RFC822NAME &&
               type != GNUTLS_SAN_URI) {
        return false;
    }
    for (size_t i = 0; i < allowed->count; i++) {
        if (tly_text_equal(tly_text_of(allowed->at[i]), (struct tly_text){value, len})) {
            return true;
        }
    }
    return false;
}

/* Whether one of the certificate's alternative names is among those allowed. */
static bool certificate_allowed(const struct tly_strings *allowed, const gnutls_datum_t *der)
{
    gnutls_x509_crt_t crt;
    if (gnutls_x509_crt_init(&crt) < 0) {
        return false;
    }
    bool found = false;
    int code = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER);
    for (unsigned i = 0; code >= 0 && !found; i++) {
        char value[512]; /* a longer name is none that could be listed */
        size_t len = sizeof(value);
        unsigned type;
        code = gnutls_x509_crt_get_subject_alt_name2(crt, i, value, &len, &type, NULL);
        if (code == GNUTLS_E_SHORT_MEMORY_BUFFER) {
            code = 0;
        } else if (code >= 0) {
            found = name_allowed(allowed, type, value, len);
        }
    }
    gnutls_x509_crt_deinit(crt);
    return found;
}

static bool chain_verifies(gnutls_session_t session)
{
    char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st data = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                  .data = (unsigned char *)purpose};
    unsigned status = 0;
    return gnutls_certificate_verify_peers(session, &data, 1, &status) >= 0 && status == 0;
}

/* Called in the handshake, when the client's certificate, or that it has none, is known. */
static int verify_client(gnutls_session_t session)
{
    const struct tly_web_tls *tls = gnutls_db_get_ptr(session);
    const struct tly_web_tls_settings *settings = tls->settings;
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (chain == NULL || count == 0) {
        bool may = settings->client_auth == TLY_WEB_REQUEST_CLIENT_CERT ||
                   settings->client_auth == TLY_WEB_VERIFY_CLIENT_CERT_IF_GIVEN;
        return may ? 0 : GNUTLS_E_CERTIFICATE_REQUIRED;
    }
    bool verify = settings->client_auth == TLY_WEB_VERIFY_CLIENT_CERT_IF_GIVEN ||
                  settings->client_auth == TLY_WEB_REQUIRE_AND_VERIFY_CLIENT_CERT;
    bool ok = !verify || chain_verifies(session);
    ok = ok && (settings->allowed_sans.count == 0 ||
                certificate_allowed(&settings->allowed_sans, &chain[0]));
    return ok ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

/* ---- life ---- */

int tly_web_tls_new(const struct tly_web_tls_settings *settings, struct tly_web_tls **ret_tls,
                    struct tly_error *err)
{
    struct tly_web_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL || gnutls_certificate_allocate_credentials(&tls->credentials) < 0) {
        free(tls);
        return tly_error_set(err, -ENOMEM, "%s", tly_error_name(-ENOMEM));
    }
    tls->settings = settings;
    int rc = load_pair(tls, err);
    rc = rc < 0 ? rc : load_authorities(tls, err);
    rc = rc < 0 ? rc : priority_init(tls, err);
    if (rc < 0) {
        tly_web_tls_free(tls);
        return rc;
    }
    gnutls_certificate_set_verify_function(tls->credentials, verify_client);
    tls->expiry_s = expiry_of(tls->credentials);
    *ret_tls = tls;
    return 0;
}

void tly_web_tls_free(struct tly_web_tls *tls)
{
    if (tls != NULL) {
        if (tls->priority != NULL) {
            gnutls_priority_deinit(tls->priority);
        }
        gnutls_certificate_free_credentials(tls->credentials);
        free(tls);
    }
}

int64_t tly_web_tls_expiry_s(const struct tly_web_tls *tls)
{
    return tls->expiry_s;
}

static gnutls_certificate_request_t request_of(const struct tly_web_tls *tls)
{
    switch (tls->settings->client_auth) {
    case TLY_WEB_NO_CLIENT_CERT:
        return GNUTLS_CERT_IGNORE;
    case TLY_WEB_REQUEST_CLIENT_CERT:
    case TLY_WEB_VERIFY_CLIENT_CERT_IF_GIVEN:
        return GNUTLS_CERT_REQUEST;
    default:
        return GNUTLS_CERT_REQUIRE;
    }
}

int tly_web_tls_attach(const struct tly_web_tls *tls, void *session)
{
    gnutls_session_t of = session;
    union { /* given back as it is, to `verify_client` */
        const struct tly_web_tls *ours;
        void *theirs;
    } at = {.ours = tls};
    gnutls_certificate_server_set_request(of, request_of(tls));
    gnutls_db_set_ptr(of, at.theirs); /* there is no session cache; this is its free pointer */
    if (gnutls_priority_set(of, tls->priority) < 0 ||
        gnutls_credentials_set(of, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0) {
        return TLY_E_REFUSED;
    }
    return 0;
}
