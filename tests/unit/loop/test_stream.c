/*
 * Streams between two ends in one loop, over TCP, a Unix socket and TLS: bytes, back-pressure, the
 * ways to end, and freeing from inside every callback.
 */
#include "agent/base/file.h"
#include "agent/loop/stream_state.h"
#include "agent/loop/tls.h"

#include "certificates.h"
#include "ends.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static char folder[TEMP_DIR_MAX];
static struct tly_listener *listener;
static struct tly_address address;
static struct end client, server;
static bool attach_at_once;
static struct tly_tls *client_tls, *server_tls;

static void accepted(void *arg, struct tly_stream *stream)
{
    (void)arg;
    assert_null(server.stream);
    server.stream = stream;
    if (attach_at_once) {
        assert_int_equal(tly_stream_attach(stream, &end_events, &server), 0);
    }
    tly_loop_stop(loop);
}

static struct tly_tls *make_tls(const struct tly_tls_spec *spec)
{
    struct tly_tls *tls;
    struct tly_error err;
    if (tly_tls_new(spec, &tls, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return tls;
}

static void make_both_tls(void)
{
    char ca[TEMP_DIR_MAX + 8];
    char cert[TEMP_DIR_MAX + 8];
    char key[TEMP_DIR_MAX + 8];
    (void)snprintf(ca, sizeof(ca), "%s/ca", folder);
    (void)snprintf(cert, sizeof(cert), "%s/cert", folder);
    (void)snprintf(key, sizeof(key), "%s/key", folder);
    struct authority *authority = authority_new(ca);
    authority_sign(authority, "127.0.0.1", 1, cert, key);
    authority_free(authority);
    client_tls = make_tls(&(struct tly_tls_spec){.ca_file = ca});
    server_tls = make_tls(
        &(struct tly_tls_spec){.server = true, .cert_file = cert, .key_file = key});
}

/* Every test runs over all kinds of sockets: its state is the address to listen on. */
static int connect_pair(void **state)
{
    temp_dir_make(folder);
    if (make_loop(state) < 0) {
        return -1;
    }
    const char *kind = *state;
    char text[TEMP_DIR_MAX + 32];
    (void)snprintf(text, sizeof(text), "%s", kind);
    if (strcmp(kind, "unix") == 0) {
        (void)snprintf(text, sizeof(text), "unix://%s/socket", folder);
    }
    if (strcmp(kind, "tls") == 0) {
        make_both_tls();
        (void)snprintf(text, sizeof(text), "127.0.0.1:0");
    }
    address = address_of(text);
    address.tls = server_tls;
    struct tly_error err;
    if (tly_listener_new(loop, &address, accepted, NULL, &listener, &err) < 0) {
        fail_msg("%s", err.text);
    }
    address.port = tly_listener_port(listener);
    address.tls = client_tls;
    attach_at_once = true;
    end_init(&client);
    end_init(&server);
    end_connect(&client, &address, 5000);
    while (!server.stream || !client.connected) {
        run();
    }
    return 0;
}

static int part_pair(void **state)
{
    end_done(&client);
    end_done(&server);
    tly_listener_free(listener);
    tly_tls_free(client_tls);
    tly_tls_free(server_tls);
    client_tls = NULL;
    server_tls = NULL;
    temp_dir_remove(folder);
    return free_loop(state);
}

/* ---- writes ---- */

enum { WRITES_MAX = 512 };

/* Where the argument points tells the number of the write. */
static char number_args[WRITES_MAX];

/* The `written` calls, by number of the write. */
static struct {
    int count;
    int number[WRITES_MAX];
    int code[WRITES_MAX];
    bool inside_write;
    bool inside_free;
    struct end *free_it; /* frees this end's stream at the first call */
} told;

static void written(void *arg, int code)
{
    assert_false(told.inside_write);
    assert_in_range(told.count, 0, WRITES_MAX - 1);
    told.number[told.count] = (int)((const char *)arg - number_args);
    told.code[told.count] = code;
    told.count++;
    if (told.free_it) {
        struct end *end = told.free_it;
        told.free_it = NULL;
        end_free(end);
    }
}

static void write_to(struct end *end, struct tly_text head, struct tly_text body, int number)
{
    told.inside_write = true;
    end->inside = true;
    assert_int_equal(tly_stream_write(end->stream, head, body, written, &number_args[number]), 0);
    end->inside = false;
    told.inside_write = false;
}

static void reset_told(void)
{
    memset(&told, 0, sizeof(told));
}

static void expect_told(int count, int code)
{
    assert_int_equal(told.count, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(told.number[i], i);
        assert_int_equal(told.code[i], code);
    }
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    reset_told();
    const struct tly_text none = {NULL, 0};
    write_to(&client, TLY_TEXT("head+"), TLY_TEXT("body"), 0);
    write_to(&client, none, TLY_TEXT(",body"), 1);
    write_to(&client, TLY_TEXT(",head"), none, 2);
    write_to(&client, none, none, 3);
    write_to(&client, TLY_TEXT("\0"), TLY_TEXT("."), 4);
    server.stop_at = 21;
    run();
    run_briefly();
    assert_int_equal(server.received.len, 21);
    assert_memory_equal(server.received.at, "head+body,body,head\0.", 21);
    expect_told(5, 0);
    assert_int_equal(tly_stream_queued(client.stream), 0);

    reset_told();
    write_to(&server, TLY_TEXT("and "), TLY_TEXT("back"), 0);
    client.stop_at = 8;
    run();
    run_briefly();
    expect_text(tly_buf_text(&client.received), "and back");
    expect_told(1, 0);
    assert_int_equal(tly_stream_write(client.stream, TLY_TEXT("x"), none, NULL, NULL), 0);
    run_briefly();
    assert_int_equal(server.received.len, 22);
    assert_int_equal(client.connected, 1);
    assert_int_equal(client.ended + server.ended, 0);
}

static void fill_pattern(char *at, size_t len, size_t from)
{
    for (size_t i = 0; i < len; i++) {
        size_t place = from + i;
        at[i] = (char)(place ^ place >> 8 ^ place >> 16);
    }
}

static void back_pressure_holds_and_loses_nothing(void **state)
{
    (void)state;
    reset_told();
    enum { PIECES = 64, HEAD = 1000, BODY = 130000, PIECE = HEAD + BODY };
    char *bytes = malloc((size_t)PIECES * PIECE);
    assert_non_null(bytes);
    fill_pattern(bytes, (size_t)PIECES * PIECE, 0);

    tly_stream_pause(server.stream);
    for (int i = 0; i < PIECES; i++) {
        char *at = bytes + (size_t)i * PIECE;
        write_to(&client, (struct tly_text){at, HEAD}, (struct tly_text){at + HEAD, BODY}, i);
    }
    run_briefly();
    /* The peer does not read: the kernel takes its buffers' worth, the rest is borrowed still. */
    assert_int_equal(server.received.len, 0);
    assert_in_range(told.count, 0, PIECES - 1);
    size_t queued = tly_stream_queued(client.stream);
    assert_true(queued > 0 && queued < (size_t)PIECES * PIECE);

    assert_int_equal(tly_stream_resume(server.stream), 0);
    assert_int_equal(tly_stream_resume(server.stream), 0); /* twice is fine */
    server.stop_at = 2000000;
    run();
    tly_stream_pause(server.stream); /* in the middle, once more */
    size_t so_far = server.received.len;
    run_briefly();
    assert_int_equal(server.received.len, so_far);
    assert_int_equal(tly_stream_resume(server.stream), 0);
    server.stop_at = (size_t)PIECES * PIECE;
    run();
    run_briefly();
    assert_int_equal(server.received.len, (size_t)PIECES * PIECE);
    assert_memory_equal(server.received.at, bytes, (size_t)PIECES * PIECE);
    expect_told(PIECES, 0);
    assert_int_equal(tly_stream_queued(client.stream), 0);
    free(bytes);
}

static void write_requests_are_used_again(void **state)
{
    (void)state;
    reset_told();
    for (int i = 0; i < 200; i++) {
        write_to(&client, TLY_TEXT("x"), TLY_TEXT("y"), i);
        server.stop_at = server.received.len + 2;
        run();
        while (told.count <= i) {
            run_briefly();
        }
    }
    assert_int_equal(loop->spare_write_count, 1);
    expect_told(200, 0);
    /* And no more of them are kept than make sense. */
    reset_told();
    for (int i = 0; i < 300; i++) {
        write_to(&client, TLY_TEXT("x"), TLY_TEXT("y"), i);
    }
    while (told.count < 300) {
        run_briefly();
    }
    assert_in_range(loop->spare_write_count, 1, 64);
    expect_told(300, 0);
}

static void sockets_are_set_for_frames(void **state)
{
    (void)state;
    const struct end *both[] = {&client, &server};
    for (size_t i = 0; i < ROWS(both); i++) {
        uv_os_fd_t fd;
        assert_int_equal(uv_fileno(&both[i]->stream->handle.any, &fd), 0);
        int on = 0;
        socklen_t len = sizeof(on);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        assert_true(on);
        on = 0;
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
        assert_true(on);
    }
}

static void the_peer_has_a_name(void **state)
{
    (void)state;
    char name[TLY_ADDRESS_TEXT_MAX];
    tly_address_format(&address, name);
    assert_string_equal(tly_stream_peer(client.stream), name);
    if (address.path[0] != '\0') {
        assert_string_equal(tly_stream_peer(server.stream), name);
    } else {
        assert_memory_equal(tly_stream_peer(server.stream), "127.0.0.1:", 10);
        assert_string_not_equal(tly_stream_peer(server.stream), name);
    }
}

/* ---- the end ---- */

static void ends_in_good_order(void **state)
{
    (void)state;
    reset_told();
    write_to(&client, TLY_TEXT("last"), TLY_TEXT(" words"), 0);
    end_free(&client);
    while (!server.ended) {
        run();
    }
    /* What was written and taken by the kernel arrives before the end. */
    expect_text(tly_buf_text(&server.received), "last words");
    assert_int_equal(server.code, 0);
    assert_non_null(strstr(server.text, "closed by the peer"));
    run_briefly();
    assert_int_equal(server.ended, 1);
    assert_int_equal(client.ended, 0); /* who frees is not told */
    assert_int_equal(tly_stream_write(server.stream, TLY_TEXT("x"), TLY_TEXT(""), written, NULL),
                     TLY_E_CLOSED);
    assert_int_equal(tly_stream_resume(server.stream), TLY_E_CLOSED);
    assert_int_equal(tly_stream_attach(server.stream, &end_events, &server), TLY_E_CLOSED);
    assert_int_equal(tly_stream_queued(server.stream), 0);
    tly_stream_pause(server.stream);
    assert_int_equal(told.count, 1); /* the one before */
}

static void a_reset_is_an_error(void **state)
{
    (void)state;
    reset_told();
    uv_os_fd_t fd;
    assert_int_equal(uv_fileno(&server.stream->handle.any, &fd), 0);
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    end_free(&server);
    while (!client.ended) {
        run();
    }
    assert_int_equal(client.code, -ECONNRESET);
    assert_non_null(strstr(client.text, "connection reset by peer"));
    run_briefly();
    assert_int_equal(client.ended, 1);
}

/* A pile of writes that the kernel can't take at once, to a peer that does not read. */
static char *pile_up(struct end *end, int count)
{
    enum { PIECE = 1 << 20 };
    char *bytes = calloc(1, PIECE);
    assert_non_null(bytes);
    for (int i = 0; i < count; i++) {
        write_to(end, TLY_TEXT("head"), (struct tly_text){bytes, PIECE}, i);
    }
    assert_true(tly_stream_queued(end->stream) > 0);
    return bytes;
}

static void writes_under_way_fail_at_the_end(void **state)
{
    (void)state;
    reset_told();
    tly_stream_pause(server.stream);
    char *bytes = pile_up(&client, 10);
    end_free(&server); /* with bytes unread: a reset on TCP, EPIPE on a Unix socket */
    while (!client.ended) {
        run();
    }
    assert_true(client.code < 0 || (client.code == 0 && address.tls)); /* which says goodbye */
    assert_int_equal(told.count, 10);
    int failed = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(told.number[i], i); /* in order, the failed ones last */
        failed += told.code[i] < 0;
        assert_true(failed == 0 || told.code[i] < 0);
    }
    assert_true(failed > 0);
    free(bytes); /* nothing is borrowed any more */
    run_briefly();
    assert_int_equal(client.ended, 1);
    assert_int_equal(told.count, 10);
}

static void freeing_fails_the_writes_under_way(void **state)
{
    (void)state;
    reset_told();
    tly_stream_pause(server.stream);
    char *bytes = pile_up(&client, 10);
    int before = told.count;
    end_free(&client);
    assert_int_equal(before, 0);
    expect_told(10, TLY_E_CLOSED); /* from inside the call: what they lend may go now */
    free(bytes);
    run_briefly();
    assert_int_equal(told.count, 10);
    assert_int_equal(client.ended, 0);
}

static void frees_from_inside_written(void **state)
{
    (void)state;
    reset_told();
    told.free_it = &client;
    tly_stream_pause(server.stream);
    char *bytes = pile_up(&client, 5);
    assert_int_equal(tly_stream_resume(server.stream), 0);
    while (client.stream) {
        run_briefly();
    }
    assert_int_equal(told.count, 5);
    assert_int_equal(told.code[0], 0);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(told.number[i], i);
        assert_int_equal(told.code[i], TLY_E_CLOSED);
    }
    free(bytes);
    run_briefly();
    assert_int_equal(client.ended, 0);
}

static void free_again(void *arg, int code)
{
    struct end *end = arg;
    assert_int_equal(code, TLY_E_CLOSED);
    assert_int_equal(tly_stream_write(end->stream, TLY_TEXT("x"), TLY_TEXT("y"), NULL, NULL),
                     TLY_E_CLOSED);
    tly_stream_free(end->stream); /* which is being freed: nothing */
    told.count++;
}

static void freeing_twice_from_inside_is_nothing(void **state)
{
    (void)state;
    reset_told();
    assert_int_equal(
        tly_stream_write(client.stream, TLY_TEXT("x"), TLY_TEXT("y"), free_again, &client), 0);
    assert_int_equal(
        tly_stream_write(client.stream, TLY_TEXT("x"), TLY_TEXT("y"), free_again, &client), 0);
    tly_stream_free(client.stream);
    client.stream = NULL;
    assert_int_equal(told.count, 2);
    tly_stream_free(NULL);
}

static void frees_from_inside_received(void **state)
{
    (void)state;
    reset_told();
    server.free_at_received = true;
    server.stop_at = 1;
    char *bytes = pile_up(&client, 4); /* more than one read's worth */
    run();
    assert_null(server.stream);
    assert_in_range(server.received.len, 1, TLY_READ_BUFFER_BYTES);
    while (!client.ended) {
        run();
    }
    assert_int_equal(server.ended, 0);
    assert_int_equal(told.count, 4);
    free(bytes);
}

static void frees_from_inside_ended(void **state)
{
    (void)state;
    reset_told();
    client.free_at_ended = true;
    tly_stream_pause(server.stream);
    char *bytes = pile_up(&client, 4);
    end_free(&server);
    while (!client.ended) {
        run();
    }
    assert_null(client.stream);
    assert_int_equal(told.count, 4);
    free(bytes);
    run_briefly();
}

static void writes_again(void *arg, int code)
{
    struct end *end = arg;
    told.count++;
    if (code == 0 && told.count < 100) {
        assert_int_equal(
            tly_stream_write(end->stream, TLY_TEXT("ag"), TLY_TEXT("ain"), writes_again, end), 0);
    }
}

static void writes_from_inside_written(void **state)
{
    (void)state;
    reset_told();
    server.stop_at = 500;
    writes_again(&client, 0); /* the first; it counts as one */
    told.count = 0;
    run();
    while (told.count < 100) {
        run_briefly();
    }
    run_briefly();
    assert_int_equal(told.count, 100);
    assert_int_equal(server.received.len, 500);
}

/* ---- without a pair ---- */

static void nothing_is_read_before_attach(void **state)
{
    (void)state;
    reset_told();
    end_done(&client);
    end_done(&server);
    end_init(&client);
    end_init(&server);
    attach_at_once = false;
    end_connect(&client, &address, 5000);
    while (!server.stream || !client.connected) {
        run();
    }
    write_to(&client, TLY_TEXT("ear"), TLY_TEXT("ly"), 0);
    run_briefly();
    assert_int_equal(told.count, 1);
    assert_int_equal(server.received.len, 0);
    assert_int_equal(tly_stream_attach(server.stream, &end_events, &server), 0);
    server.stop_at = 5;
    run();
    expect_text(tly_buf_text(&server.received), "early");
}

static void events_may_be_absent(void **state)
{
    (void)state;
    const struct tly_stream_events none = {.connected = NULL};
    assert_int_equal(tly_stream_attach(server.stream, &none, NULL), 0);
    assert_int_equal(tly_stream_write(client.stream, TLY_TEXT("x"), TLY_TEXT("y"), NULL, NULL), 0);
    run_briefly();
    end_free(&client);
    run_briefly();
    assert_int_equal(tly_stream_resume(server.stream), TLY_E_CLOSED); /* it has ended, silently */
}

int main(void)
{
    static char tcp[] = "127.0.0.1:0";
    static char unix_socket[] = "unix";
    static char tls[] = "tls";
#define TCP(test)                                                                                  \
    {                                                                                              \
#test " (tcp)", test, connect_pair, part_pair, tcp                                         \
    }
#define UNIX(test)                                                                                 \
    {                                                                                              \
#test " (unix)", test, connect_pair, part_pair, unix_socket                                \
    }
#define TLS(test)                                                                                  \
    {                                                                                              \
#test " (tls)", test, connect_pair, part_pair, tls                                         \
    }
#define ALL(test) TCP(test), UNIX(test), TLS(test)
    const struct CMUnitTest tests[] = {
        ALL(bytes_go_both_ways),
        ALL(back_pressure_holds_and_loses_nothing),
        ALL(write_requests_are_used_again),
        TCP(sockets_are_set_for_frames),
        TLS(sockets_are_set_for_frames),
        ALL(the_peer_has_a_name),
        ALL(ends_in_good_order),
        TCP(a_reset_is_an_error), /* Unix sockets know no linger, TLS says goodbye first */
        ALL(writes_under_way_fail_at_the_end),
        ALL(freeing_fails_the_writes_under_way),
        ALL(frees_from_inside_written),
        ALL(freeing_twice_from_inside_is_nothing),
        ALL(frees_from_inside_received),
        ALL(frees_from_inside_ended),
        ALL(writes_from_inside_written),
        ALL(nothing_is_read_before_attach),
        ALL(events_may_be_absent),
    };
    return cmocka_run_group_tests_name("loop:stream", tests, NULL, NULL);
}
