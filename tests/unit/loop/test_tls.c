/*
 * The handshake: who is trusted under which name, who has to show a certificate, what a failure
 * says, and that renewed files are used. What goes through a stream afterwards is test_stream.c's.
 */
#include "agent/loop/tls.h"

#include "certificates.h"
#include "ends.h"

#include <errno.h>
#include <sys/stat.h>

enum { PATH_MAX_HERE = TEMP_DIR_MAX + 32 };

static char folder[TEMP_DIR_MAX];
static char ca[PATH_MAX_HERE], other_ca[PATH_MAX_HERE];
static char cert[PATH_MAX_HERE], key[PATH_MAX_HERE];
static char client_cert[PATH_MAX_HERE], client_key[PATH_MAX_HERE];
static struct authority *authority, *other;
static struct tly_listener *listener;
static struct end client, server;

static void name_file(char to[PATH_MAX_HERE], const char *name)
{
    (void)snprintf(to, PATH_MAX_HERE, "%s/%s", folder, name);
}

static int set_up(void **state)
{
    temp_dir_make(folder);
    name_file(ca, "ca");
    name_file(other_ca, "other-ca");
    name_file(cert, "cert");
    name_file(key, "key");
    name_file(client_cert, "client-cert");
    name_file(client_key, "client-key");
    authority = authority_new(ca);
    other = authority_new(other_ca);
    authority_sign(authority, "localhost", 1, cert, key);
    authority_sign(authority, "client", 1, client_cert, client_key);
    end_init(&client);
    end_init(&server);
    return make_loop(state);
}

static int tear_down(void **state)
{
    end_done(&client);
    end_done(&server);
    tly_listener_free(listener);
    listener = NULL;
    authority_free(authority);
    authority_free(other);
    temp_dir_remove(folder);
    return free_loop(state);
}

static void accepted(void *arg, struct tly_stream *stream)
{
    (void)arg;
    assert_null(server.stream);
    server.stream = stream;
    assert_int_equal(tly_stream_attach(stream, &end_events, &server), 0);
    tly_loop_stop(loop);
}

static struct tly_tls *make(const struct tly_tls_spec *spec)
{
    struct tly_tls *tls;
    struct tly_error err;
    if (tly_tls_new(spec, &tls, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return tls;
}

/* Listens with `tls`, which may be NULL; returns where. */
static struct tly_address listen_with(struct tly_tls *tls)
{
    struct tly_address address = address_of("127.0.0.1:0");
    struct tly_error err;
    address.tls = tls;
    if (tly_listener_new(loop, &address, accepted, NULL, &listener, &err) < 0) {
        fail_msg("%s", err.text);
    }
    address.port = tly_listener_port(listener);
    return address;
}

/* Connects, and waits for either end of it: both stand, or the client's has ended. */
static void meet(const struct tly_tls_spec *client_spec, struct tly_address address)
{
    struct tly_tls *tls = make(client_spec);
    address.tls = tls;
    end_connect(&client, &address, 5000);
    while (!client.ended && !(client.connected && server.stream)) {
        run();
    }
    if (client.ended) {
        end_free(&client);
    }
    tly_tls_free(tls); /* what stands needs it no more, but for its credentials */
}

static void part(void)
{
    end_done(&client);
    end_done(&server);
    end_init(&client);
    end_init(&server);
    run_briefly();
}

static void expect_words(void)
{
    assert_int_equal(client.ended, 0);
    assert_int_equal(tly_stream_write(client.stream, TLY_TEXT("wo"), TLY_TEXT("rds"), NULL, NULL),
                     0);
    server.stop_at = 5;
    while (server.received.len < 5) {
        run();
    }
    expect_text(tly_buf_text(&server.received), "words");
}

static const struct tly_tls_spec plain_server = {
    .server = true, .cert_file = cert, .key_file = key};

static void the_name_is_verified(void **state)
{
    (void)state;
    static const struct {
        struct tly_tls_spec spec;
        const char *says; /* NULL: it stands */
    } rows[] = {
        {{.ca_file = ca, .server_name = "localhost"}, NULL},
        {{.ca_file = ca}, "name in the certificate does not match"}, /* it is for no address */
        {{.ca_file = ca, .server_name = "fluentd"}, "name in the certificate does not match"},
        {{.ca_file = ca, .skip_name = true}, NULL},
        {{.ca_file = other_ca, .server_name = "localhost"}, "issuer is unknown"},
        {{.ca_file = other_ca, .skip_name = true}, "issuer is unknown"},
        {{.ca_file = other_ca, .skip_verify = true}, NULL},
        {{.skip_verify = true}, NULL},
    };
    struct tly_tls *tls = make(&plain_server);
    struct tly_address address = listen_with(tls);
    for (size_t i = 0; i < ROWS(rows); i++) {
        meet(&rows[i].spec, address);
        if (!rows[i].says) {
            expect_words();
        } else {
            assert_int_equal(client.connected, 0);
            assert_int_equal(client.code, TLY_E_REFUSED);
            if (!strstr(client.text, rows[i].says)) {
                fail_msg("row %zu: %s", i, client.text);
            }
        }
        part();
    }
    tly_listener_free(listener);
    listener = NULL;
    tly_tls_free(tls);
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;
    authority_sign(authority, "localhost", -1, cert, key);
    struct tly_tls *tls = make(&plain_server);
    struct tly_address address = listen_with(tls);
    meet(&(struct tly_tls_spec){.ca_file = ca, .server_name = "localhost"}, address);
    assert_int_equal(client.code, TLY_E_REFUSED);
    assert_non_null(strstr(client.text, "expired"));
    part();
    tly_listener_free(listener);
    listener = NULL;
    tly_tls_free(tls);
}

static void clients_show_certificates(void **state)
{
    (void)state;
    const struct tly_tls_spec spec = {
        .server = true, .ca_file = ca, .cert_file = cert, .key_file = key};
    struct tly_tls *tls = make(&spec);
    struct tly_address address = listen_with(tls);
    const struct tly_tls_spec with = {.ca_file = ca,
                                      .server_name = "localhost",
                                      .cert_file = client_cert,
                                      .key_file = client_key};
    meet(&with, address);
    expect_words();
    part();

    /* With TLS 1.3 a client stands before the server has looked at what it shows. */
    struct tly_tls *bare = make(&(struct tly_tls_spec){.ca_file = ca, .server_name = "localhost"});
    address.tls = bare;
    end_connect(&client, &address, 5000);
    while (!client.ended) {
        run();
    }
    assert_null(server.stream);
    assert_int_equal(client.code, TLY_E_REFUSED);
    assert_non_null(strstr(client.text, "ertificate"));
    part();
    tly_tls_free(bare);

    authority_sign(other, "client", 1, client_cert, client_key);
    struct tly_tls *wrong = make(&with);
    address.tls = wrong;
    end_connect(&client, &address, 5000);
    while (!client.ended) {
        run();
    }
    assert_null(server.stream);
    assert_true(client.code < 0);
    part();
    tly_tls_free(wrong);
    tly_listener_free(listener);
    listener = NULL;
    tly_tls_free(tls);
}

/* A renewed pair is used by the next connection; half a one, or a broken one, by none. */
static void renewed_files_are_used(void **state)
{
    (void)state;
    struct tly_tls *tls = make(&plain_server);
    struct tly_address address = listen_with(tls);
    const struct tly_tls_spec old_name = {.ca_file = ca, .server_name = "localhost"};
    const struct tly_tls_spec new_name = {.ca_file = ca, .server_name = "renewed"};
    meet(&old_name, address);
    expect_words();
    part();

    authority_sign(authority, "renewed", 1, cert, other_ca); /* the key is not there yet */
    meet(&old_name, address);
    expect_words();
    part();

    authority_sign(authority, "renewed", 1, cert, key);
    meet(&new_name, address);
    expect_words();
    part();

    assert_int_equal(chmod(key, 0644), 0);
    meet(&new_name, address);
    expect_words();
    part();
    tly_listener_free(listener);
    listener = NULL;
    tly_tls_free(tls);
}

static void garbage(void *arg, struct tly_stream *stream)
{
    struct end *end = arg;
    end->stream = stream;
    assert_int_equal(tly_stream_attach(stream, &end_events, end), 0);
    assert_int_equal(tly_stream_write(stream, TLY_TEXT("220 hello, "),
                                      TLY_TEXT("who is there?\r\n"), NULL, NULL),
                     0);
}

static void a_plain_peer_is_known(void **state)
{
    (void)state;
    struct tly_address address = address_of("127.0.0.1:0");
    struct tly_error err;
    assert_int_equal(tly_listener_new(loop, &address, garbage, &server, &listener, &err), 0);
    address.port = tly_listener_port(listener);
    meet(&(struct tly_tls_spec){.ca_file = ca}, address);
    assert_int_equal(client.connected, 0);
    assert_int_equal(client.code, -EPROTO);
    assert_non_null(strstr(client.text, "Does the peer speak TLS?"));
}

/* Nobody answers: the time that connecting may take is all there is. */
static void the_handshake_ends_in_time(void **state)
{
    (void)state;
    struct tly_address address = listen_with(NULL);
    struct tly_tls *tls = make(&(struct tly_tls_spec){.ca_file = ca});
    address.tls = tls;
    end_connect(&client, &address, 50);
    while (!client.ended) {
        run();
    }
    assert_int_equal(client.connected, 0);
    assert_int_equal(client.code, TLY_E_TIMEOUT);
    assert_non_null(strstr(client.text, "TLS handshake"));
    end_free(&client);
    tly_tls_free(tls);
}

/* The listener goes while a handshake is under way, and so does the one that never speaks. */
static void listeners_end_handshakes(void **state)
{
    (void)state;
    struct tly_tls *tls = make(&plain_server);
    struct tly_address address = listen_with(tls);
    address.tls = NULL;
    end_connect(&client, &address, 5000);
    while (!client.connected) {
        run();
    }
    run_briefly();
    assert_null(server.stream);
    tly_listener_free(listener);
    listener = NULL;
    while (!client.ended) {
        run();
    }
    tly_tls_free(tls);
}

static void mistakes_are_said(void **state)
{
    (void)state;
    static const struct {
        struct tly_tls_spec spec;
        int code;
        const char *says;
    } rows[] = {
        {{.ca_file = "/nonexistent/ca"}, -ENOENT, "/nonexistent/ca"},
        {{.ca_file = key}, TLY_E_MALFORMED, "no certificate in PEM form"},
        {{.ca_file = ca, .cert_file = cert}, -EINVAL, "the key is missing"},
        {{.ca_file = ca, .key_file = key}, -EINVAL, "the certificate is missing"},
        {{.ca_file = ca, .cert_file = cert, .key_file = client_key}, TLY_E_MALFORMED, client_key},
        {{.server = true}, -EINVAL, "needs a certificate"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_tls *tls = NULL;
        struct tly_error err = {0};
        assert_int_equal(tly_tls_new(&rows[i].spec, &tls, &err), rows[i].code);
        assert_null(tls);
        if (!strstr(err.text, rows[i].says)) {
            fail_msg("row %zu: %s", i, err.text);
        }
    }
    struct tly_tls *tls = NULL;
    struct tly_error err = {0};
    assert_int_equal(chmod(key, 0644), 0);
    assert_int_equal(tly_tls_new(&plain_server, &tls, &err), -EPERM);
    assert_non_null(strstr(err.text, "chmod o="));
    tly_tls_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_name_is_verified),      TEST(an_expired_certificate_is_refused),
        TEST(clients_show_certificates), TEST(renewed_files_are_used),
        TEST(a_plain_peer_is_known),     TEST(the_handshake_ends_in_time),
        TEST(listeners_end_handshakes),  TEST(mistakes_are_said),
    };
    return cmocka_run_group_tests_name("loop:tls", tests, NULL, NULL);
}
