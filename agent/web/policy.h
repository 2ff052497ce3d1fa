/*
 * The web configuration file, in the format that Prometheus's own exporters share
 * (github.com/prometheus/exporter-toolkit, docs/web-configuration.md): TLS, basic authentication,
 * headers of every answer, a limit of requests. What was read never changes; it is counted, because
 * connections outlive a reload.
 */
#ifndef TLY_WEB_POLICY_H
#define TLY_WEB_POLICY_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/config/option.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_web_tls;

/* tls_server_config: as read; the server's side of it is tls.h. */
struct tly_web_tls_settings {
    char *cert, *cert_file;
    char *key, *key_file; /* `key` also holds the content of `key_file` */
    char *client_ca, *client_ca_file;
    int client_auth; /* enum tly_web_client_auth */
    struct tly_strings allowed_sans;
    int min_version, max_version; /* enum tly_web_tls_version */
    struct tly_strings cipher_suites, curves;
    bool prefer_server;
};

enum tly_web_client_auth {
    TLY_WEB_NO_CLIENT_CERT,
    TLY_WEB_REQUEST_CLIENT_CERT,
    TLY_WEB_REQUIRE_ANY_CLIENT_CERT,
    TLY_WEB_VERIFY_CLIENT_CERT_IF_GIVEN,
    TLY_WEB_REQUIRE_AND_VERIFY_CLIENT_CERT,
    TLY_WEB_REQUIRE_CLIENT_CERT, /* an old name of REQUIRE_ANY */
};

enum tly_web_tls_version { TLY_WEB_TLS10, TLY_WEB_TLS11, TLY_WEB_TLS12, TLY_WEB_TLS13 };

/* The headers that the file may set; NULL or "": not set. */
enum { TLY_WEB_HEADERS = 5 };
extern const char *const tly_web_header_names[TLY_WEB_HEADERS];
struct tly_web_http_settings {
    bool http2; /* accepted, without effect: the server speaks HTTP/1.1 */
    struct {
        char *values[TLY_WEB_HEADERS];
    } headers;
};

struct tly_web_rate_settings {
    int64_t interval_ms; /* one request for each; 0: no limit */
    int64_t burst;       /* so many at once after a pause */
};

struct tly_web_policy {
    unsigned refs;
    char *path;
    struct tly_config *config; /* owns what follows */
    const struct tly_web_tls_settings *tls_settings;
    const struct tly_web_http_settings *http;
    const struct tly_web_rate_settings *rate;
    const struct tly_pairs *users; /* name and bcrypt hash; none: no authentication */
    char *dummy_hash; /* NULL without users: matches nothing, costs what the dearest user costs */
    struct tly_web_tls *tls; /* NULL: plain HTTP */
};

/*
 * Reads the file and every file that it names. TLY_E_MALFORMED with complaints (a place of 0: it is
 * about a file that it names); -errno with `err` when the file itself can't be read, -ENOMEM.
 * `err` always says it in one sentence.
 */
int tly_web_policy_load(const char *path, struct tly_complaints *complaints,
                        struct tly_web_policy **ret_policy, struct tly_error *err) TLY_CHECK;
/* The same from text, for tests. */
int tly_web_policy_parse(const char *text, size_t len, struct tly_complaints *complaints,
                         struct tly_web_policy **ret_policy) TLY_CHECK;

/* Whether a text is such a file rather than the agent's own: one of its keys stands at the top. */
bool tly_web_policy_recognises(struct tly_text text);

struct tly_web_policy *tly_web_policy_ref(struct tly_web_policy *policy);
void tly_web_policy_unref(struct tly_web_policy *policy); /* NULL is fine */

/* Whether anyone who connects has to show who he is: by password, or by a verified certificate. */
bool tly_web_policy_authenticates(const struct tly_web_policy *policy);

/* A number that changes when one of the files does: of the file at `path`, and of those that
 * `policy` (may be NULL) names. */
uint64_t tly_web_policy_stamp(const char *path, const struct tly_web_policy *policy);

/* ---- policy_settings.c: the tables of the file ---- */

enum {
    TLY_WEB_SECTION_TLS,
    TLY_WEB_SECTION_HTTP,
    TLY_WEB_SECTION_USERS,
    TLY_WEB_SECTION_RATE,
    TLY_WEB_SECTIONS
};
extern const struct tly_section *const tly_web_policy_sections[TLY_WEB_SECTIONS];

/* "$2y$10$": the digits that say how often bcrypt goes round, as a power of two. */
#define TLY_BCRYPT_LEN 60
int tly_bcrypt_cost(const char *hash);

#endif
