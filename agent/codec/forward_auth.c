/*
 * HELO, PING and PONG. A digest is the lowercase hexadecimal SHA-512 of four texts in a row; each
 * side proves that it knows the shared key by a digest that no earlier connection has shown, since
 * the receiver's nonce and the sender's salt are new each time.
 */
#include "agent/codec/forward_auth.h"

#include "agent/codec/record.h"
#include "agent/codec/record_reader.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define HASH_BYTES 64
#define DIGEST_LEN (2UL * HASH_BYTES)

/* Of one HELO, PING or PONG: names and reasons are short. */
#define MESSAGE_BYTES_MAX 4096

static void write_hex(const unsigned char *bytes, size_t len, char *to)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        to[2 * i] = digits[bytes[i] >> 4];
        to[2 * i + 1] = digits[bytes[i] & 15];
    }
}

enum { DIGEST_PARTS = 4 };

static int digest(const struct tly_text parts[DIGEST_PARTS], char to[DIGEST_LEN])
{
    gnutls_hash_hd_t hash;
    unsigned char sum[HASH_BYTES];
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA512) < 0) {
        return -ENOMEM;
    }
    int rc = 0;
    for (size_t i = 0; i < DIGEST_PARTS && rc == 0; i++) {
        rc = parts[i].len > 0 ? gnutls_hash(hash, parts[i].at, parts[i].len) : 0;
    }
    gnutls_hash_deinit(hash, sum);
    if (rc < 0) {
        return -ENOMEM;
    }
    write_hex(sum, sizeof(sum), to);
    return 0;
}

/* Takes as long wherever the first difference is. */
static bool is_digest(struct tly_text given, const char wanted[DIGEST_LEN])
{
    return given.len == DIGEST_LEN && gnutls_memcmp(given.at, wanted, DIGEST_LEN) == 0;
}

static bool message_may_start(unsigned char first)
{
    return (first >= 0x90 && first <= 0x9f) || first == 0xdc || first == 0xdd;
}

static struct tly_text text_of(const char *at, size_t len)
{
    return (struct tly_text){at, len};
}

/* Opens [name, ...], which has at least `least` members. */
static int open_message(struct tly_text *rest, const char *name, uint32_t least,
                        struct tly_error *err)
{
    struct tly_value head;
    struct tly_value word;
    int rc = tly_value_next(rest, &head);
    if (rc == 0 && head.count >= least) {
        rc = tly_value_next(rest, &word);
        if (rc == 0 && tly_value_is(&word, name)) {
            return 0;
        }
    }
    return tly_error_set(err, TLY_E_MALFORMED, "%s is expected, something else came", name);
}

/* The next member, which is text. */
static int next_text(struct tly_text *rest, struct tly_text *ret_text)
{
    struct tly_value value;
    int rc = tly_value_next(rest, &value);
    if (rc < 0 || !tly_value_is_text(&value)) {
        return TLY_E_MALFORMED;
    }
    *ret_text = value.bytes;
    return 0;
}

/* One value that a feed has completed, and what is made of it. */
struct exchange {
    struct tly_forward_greeting *greeting;
    const struct tly_forward_account *account;
    struct tly_forward_welcome *welcome;
    const struct tly_forward_gate *gate;
    struct tly_buf *answer;
    bool done;
};

/* ---- the sender's side ---- */

void tly_forward_greeting_init(struct tly_forward_greeting *greeting,
                               const unsigned char random[TLY_FORWARD_SALT_BYTES])
{
    *greeting = (struct tly_forward_greeting){.keepalive = true};
    tly_value_feed_init(&greeting->feed, "handshake message", message_may_start, MESSAGE_BYTES_MAX);
    write_hex(random, TLY_FORWARD_SALT_BYTES, greeting->salt);
}

void tly_forward_greeting_done(struct tly_forward_greeting *greeting)
{
    tly_value_feed_done(&greeting->feed);
}

static int write_ping(const struct tly_forward_greeting *greeting,
                      const struct tly_forward_account *account, struct tly_text auth,
                      struct tly_buf *answer)
{
    struct tly_text salt = text_of(greeting->salt, sizeof(greeting->salt));
    struct tly_text nonce = text_of(greeting->nonce, greeting->nonce_len);
    const struct tly_text key_parts[] = {salt, account->hostname, nonce, account->shared_key};
    const struct tly_text user_parts[] = {auth, account->username, account->password, {NULL, 0}};
    char key_digest[DIGEST_LEN];
    char user_digest[DIGEST_LEN];
    bool by_user = auth.len > 0;
    int rc = digest(key_parts, key_digest);
    rc = rc < 0 ? rc : digest(user_parts, user_digest);
    rc = rc < 0 ? rc : tly_record_array(answer, 6);
    rc = rc < 0 ? rc : tly_record_str(answer, TLY_TEXT("PING"));
    rc = rc < 0 ? rc : tly_record_str(answer, account->hostname);
    rc = rc < 0 ? rc : tly_record_str(answer, salt);
    rc = rc < 0 ? rc : tly_record_str(answer, text_of(key_digest, DIGEST_LEN));
    rc = rc < 0 ? rc : tly_record_str(answer, by_user ? account->username : text_of("", 0));
    return rc < 0 ? rc : tly_record_str(answer, text_of(user_digest, by_user ? DIGEST_LEN : 0));
}

/* ["HELO", {"nonce": text, "auth": text, "keepalive": bool}] */
static int read_helo(struct exchange *exchange, struct tly_text rest, struct tly_error *err)
{
    struct tly_forward_greeting *greeting = exchange->greeting;
    struct tly_value map;
    struct tly_text auth = {NULL, 0};
    struct tly_text nonce = {NULL, 0};
    int rc = open_message(&rest, "HELO", 2, err);
    if (rc < 0) {
        return rc;
    }
    rc = tly_value_next(&rest, &map);
    rc = rc == 0 && map.type != TLY_VALUE_MAP ? TLY_E_MALFORMED : rc;
    for (uint32_t i = 0; rc == 0 && i < map.count; i++) {
        struct tly_value key;
        struct tly_value value;
        struct tly_text bytes;
        rc = tly_value_whole(&rest, &key, &bytes);
        rc = rc < 0 ? rc : tly_value_whole(&rest, &value, &bytes);
        if (rc < 0) {
            break;
        }
        if (tly_value_is(&key, "nonce") && tly_value_is_text(&value)) {
            nonce = value.bytes;
        } else if (tly_value_is(&key, "auth") && tly_value_is_text(&value)) {
            auth = value.bytes;
        } else if (tly_value_is(&key, "keepalive") && value.type == TLY_VALUE_BOOL) {
            greeting->keepalive = value.truth;
        }
    }
    if (rc < 0 || nonce.len == 0 || nonce.len > sizeof(greeting->nonce)) {
        return tly_error_set(err, TLY_E_MALFORMED, "the receiver's HELO has no usable nonce");
    }
    memcpy(greeting->nonce, nonce.at, nonce.len);
    greeting->nonce_len = nonce.len;
    rc = write_ping(greeting, exchange->account, auth, exchange->answer);
    if (rc < 0) {
        return tly_error_set(err, rc, "the handshake failed: %s", tly_error_name(rc));
    }
    greeting->answered = true;
    return 0;
}

/* ["PONG", ok, reason, server's hostname, digest] */
static int read_pong(struct exchange *exchange, struct tly_text rest, struct tly_error *err)
{
    const struct tly_forward_greeting *greeting = exchange->greeting;
    const struct tly_forward_account *account = exchange->account;
    struct tly_value ok = {0};
    struct tly_text reason = {NULL, 0};
    struct tly_text hostname = {NULL, 0};
    struct tly_text proof = {NULL, 0};
    int rc = open_message(&rest, "PONG", 5, err);
    if (rc < 0) {
        return rc;
    }
    rc = tly_value_next(&rest, &ok);
    rc = rc < 0 ? rc : next_text(&rest, &reason);
    rc = rc < 0 ? rc : next_text(&rest, &hostname);
    rc = rc < 0 ? rc : next_text(&rest, &proof);
    if (rc < 0 || ok.type != TLY_VALUE_BOOL) {
        return tly_error_set(err, TLY_E_MALFORMED, "the receiver's PONG can't be understood");
    }
    if (!ok.truth) {
        enum { REASON_MAX = 200 };
        return tly_error_set(err, TLY_E_REFUSED, "the receiver does not let us in: %.*s",
                             reason.len > REASON_MAX ? REASON_MAX : (int)reason.len,
                             reason.len > 0 ? reason.at : "");
    }
    if (tly_text_equal(hostname, account->hostname)) {
        return tly_error_set(err, TLY_E_REFUSED,
                             "the receiver has our own host name; set another self_hostname");
    }
    const struct tly_text parts[] = {text_of(greeting->salt, sizeof(greeting->salt)), hostname,
                                     text_of(greeting->nonce, greeting->nonce_len),
                                     account->shared_key};
    char wanted[DIGEST_LEN];
    rc = digest(parts, wanted);
    if (rc < 0) {
        return tly_error_set(err, rc, "the handshake failed: %s", tly_error_name(rc));
    }
    if (!is_digest(proof, wanted)) {
        return tly_error_set(err, TLY_E_REFUSED, "the receiver does not know the shared key");
    }
    return 0;
}

static int greeting_value(void *arg, struct tly_text value, struct tly_error *err)
{
    struct exchange *exchange = arg;
    if (exchange->done) {
        return tly_error_set(err, TLY_E_MALFORMED, "the receiver speaks behind its PONG");
    }
    if (!exchange->greeting->answered) {
        return read_helo(exchange, value, err);
    }
    int rc = read_pong(exchange, value, err);
    exchange->done = rc == 0;
    return rc;
}

int tly_forward_greeting_read(struct tly_forward_greeting *greeting,
                              const struct tly_forward_account *account, struct tly_text bytes,
                              struct tly_buf *answer, struct tly_error *err)
{
    struct exchange exchange = {.greeting = greeting, .account = account, .answer = answer};
    int rc = tly_value_feed_read(&greeting->feed, bytes, greeting_value, &exchange, err);
    return rc < 0 ? rc : exchange.done ? 0 : TLY_E_MORE;
}

/* ---- the receiver's side ---- */

int tly_forward_welcome_init(struct tly_forward_welcome *welcome,
                             const unsigned char random[2 * TLY_FORWARD_SALT_BYTES],
                             struct tly_buf *answer)
{
    tly_value_feed_init(&welcome->feed, "handshake message", message_may_start, MESSAGE_BYTES_MAX);
    memcpy(welcome->nonce, random, sizeof(welcome->nonce));
    memcpy(welcome->auth, random + sizeof(welcome->nonce), sizeof(welcome->auth));
    int rc = tly_record_array(answer, 2);
    rc = rc < 0 ? rc : tly_record_str(answer, TLY_TEXT("HELO"));
    rc = rc < 0 ? rc : tly_record_map(answer, 3);
    rc = rc < 0 ? rc : tly_record_str(answer, TLY_TEXT("nonce"));
    rc = rc < 0 ? rc : tly_record_bin(answer, text_of(welcome->nonce, sizeof(welcome->nonce)));
    rc = rc < 0 ? rc : tly_record_str(answer, TLY_TEXT("auth"));
    rc = rc < 0 ? rc : tly_record_bin(answer, text_of(welcome->auth, sizeof(welcome->auth)));
    rc = rc < 0 ? rc : tly_record_str(answer, TLY_TEXT("keepalive"));
    return rc < 0 ? rc : tly_record_bool(answer, true);
}

void tly_forward_welcome_done(struct tly_forward_welcome *welcome)
{
    tly_value_feed_done(&welcome->feed);
}

/* What a PING says, borrowed from it. */
struct ping {
    struct tly_text hostname, salt, key_digest, username, user_digest;
};

static int read_ping(struct tly_text rest, struct ping *ret_ping, struct tly_error *err)
{
    int rc = open_message(&rest, "PING", 6, err);
    if (rc < 0) {
        return rc;
    }
    rc = next_text(&rest, &ret_ping->hostname);
    rc = rc < 0 ? rc : next_text(&rest, &ret_ping->salt);
    rc = rc < 0 ? rc : next_text(&rest, &ret_ping->key_digest);
    rc = rc < 0 ? rc : next_text(&rest, &ret_ping->username);
    rc = rc < 0 ? rc : next_text(&rest, &ret_ping->user_digest);
    return rc < 0 ? tly_error_set(err, TLY_E_MALFORMED, "a PING can't be understood") : 0;
}

/* Every user is looked at, whichever it is. */
static int check_user(const struct tly_forward_welcome *welcome,
                      const struct tly_forward_gate *gate, const struct ping *ping, bool *ret_known)
{
    bool known = gate->user_count == 0;
    for (size_t i = 0; i < gate->user_count; i++) {
        const struct tly_forward_user *user = &gate->users[i];
        const struct tly_text parts[] = {
            text_of(welcome->auth, sizeof(welcome->auth)), user->name, user->password, {NULL, 0}};
        char wanted[DIGEST_LEN];
        int rc = digest(parts, wanted);
        if (rc < 0) {
            return rc;
        }
        bool same = is_digest(ping->user_digest, wanted);
        known = known || (same && tly_text_equal(ping->username, user->name));
    }
    *ret_known = known;
    return 0;
}

/* Why the sender is not let in; NULL: it is. */
static int judge(const struct tly_forward_welcome *welcome, const struct tly_forward_gate *gate,
                 const struct ping *ping, const char **ret_refusal)
{
    const struct tly_text parts[] = {ping->salt, ping->hostname,
                                     text_of(welcome->nonce, sizeof(welcome->nonce)),
                                     gate->shared_key};
    char wanted[DIGEST_LEN];
    bool known = false;
    int rc = digest(parts, wanted);
    rc = rc < 0 ? rc : check_user(welcome, gate, ping, &known);
    if (rc < 0) {
        return rc;
    }
    if (tly_text_equal(ping->hostname, gate->hostname)) {
        *ret_refusal = "same hostname between input and output: invalid configuration";
    } else if (!is_digest(ping->key_digest, wanted)) {
        *ret_refusal = "shared_key mismatch";
    } else {
        *ret_refusal = known ? NULL : "username/password mismatch";
    }
    return 0;
}

static int write_pong(const struct tly_forward_welcome *welcome,
                      const struct tly_forward_gate *gate, const struct ping *ping,
                      const char *refusal, struct tly_buf *answer)
{
    const struct tly_text parts[] = {ping->salt, gate->hostname,
                                     text_of(welcome->nonce, sizeof(welcome->nonce)),
                                     gate->shared_key};
    char proof[DIGEST_LEN];
    int rc = digest(parts, proof);
    rc = rc < 0 ? rc : tly_record_array(answer, 5);
    rc = rc < 0 ? rc : tly_record_str(answer, TLY_TEXT("PONG"));
    rc = rc < 0 ? rc : tly_record_bool(answer, !refusal);
    rc = rc < 0 ? rc : tly_record_str(answer, tly_text_of(refusal ? refusal : ""));
    rc = rc < 0 ? rc : tly_record_str(answer, refusal ? text_of("", 0) : gate->hostname);
    return rc < 0 ? rc : tly_record_str(answer, text_of(proof, refusal ? 0 : DIGEST_LEN));
}

static int welcome_value(void *arg, struct tly_text value, struct tly_error *err)
{
    struct exchange *exchange = arg;
    struct ping ping = {.hostname = {NULL, 0}};
    const char *refusal = NULL;
    if (exchange->done) {
        return tly_error_set(err, TLY_E_MALFORMED, "the sender does not wait for its PONG");
    }
    int rc = read_ping(value, &ping, err);
    if (rc < 0) {
        return rc;
    }
    rc = judge(exchange->welcome, exchange->gate, &ping, &refusal);
    rc = rc < 0 ? rc
                : write_pong(exchange->welcome, exchange->gate, &ping, refusal, exchange->answer);
    if (rc < 0) {
        return tly_error_set(err, rc, "the handshake failed: %s", tly_error_name(rc));
    }
    exchange->done = true;
    return refusal ? tly_error_set(err, TLY_E_REFUSED, "not let in: %s", refusal) : 0;
}

int tly_forward_welcome_read(struct tly_forward_welcome *welcome,
                             const struct tly_forward_gate *gate, struct tly_text bytes,
                             struct tly_buf *answer, struct tly_error *err)
{
    struct exchange exchange = {.welcome = welcome, .gate = gate, .answer = answer};
    int rc = tly_value_feed_read(&welcome->feed, bytes, welcome_value, &exchange, err);
    return rc < 0 ? rc : exchange.done ? 0 : TLY_E_MORE;
}
