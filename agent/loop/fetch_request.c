/*
 * One HTTP request as curl sees it: its options, and the callbacks through which its reply arrives.
 * See fetch.c for who owns it and when.
 */
#include "agent/loop/fetch_state.h"

#include "agent/base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* For requests without a limit of their own, which still must not wait for ever to be heard. */
#define CONNECT_TIMEOUT_MS 10000L
/* Probes on a silent stream, so that a peer that vanished without a word is found out. */
#define KEEPALIVE_IDLE_S     30L
#define KEEPALIVE_INTERVAL_S 10L

/* ---- what arrives ---- */

static bool is_success(long status)
{
    return status >= 200 && status <= 299;
}

/* From "HTTP/1.1 200 OK"; 0 when there is no number where it should be. */
static long status_of(struct tly_text line)
{
    uint64_t status = 0;
    (void)tly_text_cut(&line, ' '); /* the version */
    if (!line.at || line.len < 3 || tly_text_u64((struct tly_text){line.at, 3}, &status) < 0) {
        return 0;
    }
    return (long)status;
}

/* Copies the value of the header `name` to `to`, if this line is that header. */
static void read_header(struct tly_text line, struct tly_text name, char to[TLY_FETCH_HEADER_MAX])
{
    if (line.len <= name.len || line.at[name.len] != ':' ||
        strncasecmp(line.at, name.at, name.len) != 0) {
        return;
    }
    struct tly_text value = {line.at + name.len + 1, line.len - name.len - 1};
    value = tly_text_trim(value);
    if (value.len < TLY_FETCH_HEADER_MAX) {
        memcpy(to, value.at, value.len);
        to[value.len] = '\0';
    }
}

/* CURLOPT_HEADERFUNCTION: one line at a time, also of replies before the last (1xx). */
static size_t on_header(char *at, size_t size, size_t count, void *arg)
{
    struct tly_fetch *fetch = arg;
    struct tly_text line = {at, size * count};
    if (fetch->cancelled) {
        return 0;
    }
    if (tly_text_starts(line, TLY_TEXT("HTTP/"))) {
        fetch->status = status_of(line);
        fetch->content_type[0] = fetch->api_version[0] = '\0';
    }
    read_header(line, TLY_TEXT("Content-Type"), fetch->content_type);
    read_header(line, TLY_TEXT("Api-Version"), fetch->api_version);
    if (tly_text_trim(line).len == 0 && is_success(fetch->status) && !fetch->opened) {
        fetch->opened = true;
        if (fetch->spec.opened) {
            fetch->spec.opened(fetch->spec.arg);
        }
    }
    return fetch->cancelled ? 0 : line.len;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_body(char *at, size_t size, size_t count, void *arg)
{
    struct tly_fetch *fetch = arg;
    struct tly_text bytes = {at, size * count};
    if (fetch->cancelled) {
        return 0;
    }
    if (fetch->paused) {
        fetch->held = true;
        return CURL_WRITEFUNC_PAUSE; /* they come again */
    }
    if (fetch->spec.chunk && is_success(fetch->status)) {
        fetch->spec.chunk(fetch->spec.arg, bytes);
        return fetch->cancelled ? 0 : bytes.len;
    }
    fetch->code = tly_buf_append_text(&fetch->body, bytes);
    return fetch->code < 0 ? 0 : bytes.len;
}

/* ---- making ---- */

/* Notes the first failure in `rc`, a CURLcode. */
#define SET(option, value)                                                                         \
    rc = rc != CURLE_OK ? rc : TLY_CURL_CHECKED(curl, easy_setopt, easy, CURLOPT_##option, value)

static CURLcode set_where(CURL *easy, const struct tly_fetcher *fetcher, const char *url)
{
    const struct tly_curl *curl = fetcher->curl;
    CURLcode rc = CURLE_OK;
    SET(URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(PROTOCOLS_STR, "http,https");
#else
    SET(PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    /* One request per connection, so that an endless stream and a ping never share one. */
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (fetcher->unix_socket) {
        SET(UNIX_SOCKET_PATH, fetcher->unix_socket);
        SET(PROXY, ""); /* none, whatever the environment says */
    }
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (fetcher->ca_file) {
        SET(CAINFO, fetcher->ca_file);
    }
    if (fetcher->any_name) {
        SET(SSL_VERIFYHOST, 0L);
    }
    if (fetcher->cert_file) {
        SET(SSLCERT, fetcher->cert_file);
        SET(SSLKEY, fetcher->key_file);
    }
    if (fetcher->basic_auth) {
        SET(HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(USERPWD, fetcher->basic_auth);
    } else if (fetcher->bearer) {
        SET(HTTPAUTH, (long)CURLAUTH_BEARER);
        SET(XOAUTH2_BEARER, fetcher->bearer);
    }
    return rc;
}

static CURLcode set_how(CURL *easy, struct tly_fetch *fetch)
{
    const struct tly_curl *curl = fetch->fetcher->curl;
    CURLcode rc = CURLE_OK;
    int64_t timeout_ms = fetch->spec.timeout_ms;
    SET(PRIVATE, fetch);
    SET(ERRORBUFFER, fetch->error);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, fetch);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, fetch);
    SET(USERAGENT, "tallyman/" TLY_VERSION);
    SET(NOSIGNAL, 1L);
    SET(TCP_KEEPALIVE, 1L);
    SET(TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    SET(TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    SET(TIMEOUT_MS, timeout_ms > 0 && timeout_ms < LONG_MAX ? (long)timeout_ms : 0L);
    SET(CONNECTTIMEOUT_MS,
        timeout_ms > 0 && timeout_ms < CONNECT_TIMEOUT_MS ? (long)timeout_ms : CONNECT_TIMEOUT_MS);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(QUICK_EXIT, 1L); /* cancelling never waits for the thread that resolves a name */
#endif
    return rc;
}

static CURLcode set_post(CURL *easy, struct tly_fetch *fetch, const char *body)
{
    const struct tly_curl *curl = fetch->fetcher->curl;
    CURLcode rc = CURLE_OK;
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    SET(COPYPOSTFIELDS, body);
    static const char *const lines[] = {"Content-Type: application/json", "Expect:"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct curl_slist *longer = curl->slist_append(fetch->headers, lines[i]);
        if (!longer) {
            return CURLE_OUT_OF_MEMORY;
        }
        fetch->headers = longer;
    }
    SET(HTTPHEADER, fetch->headers);
    return rc;
}

#undef SET

int tly_fetch_prepare(struct tly_fetch *fetch, const struct tly_request_spec *spec)
{
    TLY_AUTO_FREE char *url = NULL;
    fetch->easy = fetch->fetcher->curl->easy_init();
    if (!fetch->easy || asprintf(&url, "%s%s", fetch->fetcher->base_url, spec->path) < 0) {
        return -ENOMEM;
    }
    CURLcode rc = set_where(fetch->easy, fetch->fetcher, url);
    rc = rc != CURLE_OK ? rc : set_how(fetch->easy, fetch);
    if (rc == CURLE_OK && spec->post_body) {
        rc = set_post(fetch->easy, fetch, spec->post_body);
    }
    if (rc == CURLE_OK) {
        return 0;
    }
    /* What is left besides memory: a curl that was built without what is asked for. */
    return rc == CURLE_OUT_OF_MEMORY ? -ENOMEM : -ENOTSUP;
}
