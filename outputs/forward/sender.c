/*
 * The choice of servers. Those that are not standby are tried in turn, or as their weights have it,
 * each with a back-off of its own, until one stands. Standbys are tried once every other server has
 * failed; when one of those returns, the standby's chunks under way come to their end first, then
 * it is closed. In the same way a connection that has stood for its time gives way to a new one,
 * which stands before the old one is left, unless it is to the same server.
 */
#include "outputs/forward/sender.h"

#include "agent/base/random.h"
#include "agent/loop/backoff.h"
#include "agent/loop/log.h"
#include "agent/terms.h"
#include "outputs/forward/draw.h"
#include "outputs/forward/link.h"
#include "outputs/forward/picker.h"
#include "outputs/forward/security.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO "forward"

/* A receiver that restarts is back within a second; one that is away for hours is asked as often as
 * `retry_max` says. */
#define RETRY_FIRST_MS 500

/* A connection that lasted as long, or brought one acknowledgement, has proved its server: the next
 * failure begins a new back-off. */
#define PROVED_MS 10000

/* So long after a record was given up others need no such patience: where one container writes what
 * a receiver does not take, it is likely to do so again. */
#define IMPATIENT_MS (10LL * 60 * 1000)

struct server {
    struct tly_forward_sender *sender;
    struct tly_address address;
    char text[TLY_ADDRESS_TEXT_MAX];
    struct tly_forward_account account;
    bool secured; /* `account` is there */
    bool standby;
    uint32_t weight;               /* 0: none has one */
    struct tly_forward_link *link; /* NULL: not connected, nor trying */
    struct tly_backoff backoff;
    int64_t next_try_ms;
    int64_t opened_ms;
    bool acked;     /* something came through on this connection */
    bool failed;    /* the last try or connection */
    bool passed;    /* was tried since the carrier's time is over, and failed */
    bool said_open; /* what the log said last */
    struct tly_log_limit limit;
    uint64_t connects;
};

struct tly_forward_sender {
    struct tly_loop *loop;
    struct tly_config *config; /* a reference, for the settings */
    const struct tly_forward_settings *settings;
    struct tly_destination *destination;
    bool made, attached; /* the destination: by this sender, to it */
    struct tly_tls *tls; /* NULL: plain connections */
    char hostname[TLY_FORWARD_HOSTNAME_MAX];
    struct tly_timer *retry;
    struct tly_timer *deadline; /* of a stop */
    int64_t deadline_ms;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct server *carrier; /* whose link has the chunks under way; NULL: none */
    struct server *next;    /* is to take over from the carrier, or is the same; NULL: none */
    struct tly_timer *age;  /* to when the carrier has stood for its time, or the next is tried */
    size_t turn;            /* the server to try first */
    struct tly_forward_counts counts;
    uint64_t resent_chunks;
    int64_t impatient_until_ms; /* loop time */
    uint64_t errors[TLY_FORWARD_REASONS];
    struct tly_forward_picker picker;
    struct tly_log_limit drop_limit;
    uint32_t *weights; /* room for a draw, one for each server */
    size_t server_count;
    struct server servers[];
};

static void settle(struct tly_forward_sender *sender);

static bool is_open(const struct server *server)
{
    return server->link && tly_forward_link_open(server->link);
}

/* ---- stopping ---- */

static bool is_empty(const struct tly_forward_sender *sender)
{
    struct tly_destination_counts counts;
    tly_destination_counts(sender->destination, &counts);
    return counts.queued_chunks == 0;
}

static void finish(struct tly_forward_sender *sender)
{
    struct tly_destination_counts counts;
    tly_destination_counts(sender->destination, &counts);
    if (counts.queued_records > 0) {
        tly_log_warn(WHO, "%s: stopped with %" PRIu64 " records that no receiver has acknowledged",
                     sender->settings->name, counts.queued_records);
    }
    tly_destination_attach(sender->destination, NULL, NULL);
    tly_timer_stop(sender->retry);
    tly_timer_stop(sender->deadline);
    tly_timer_stop(sender->age);
    sender->carrier = NULL;
    sender->next = NULL;
    for (size_t i = 0; i < sender->server_count; i++) {
        tly_forward_link_free(sender->servers[i].link);
        sender->servers[i].link = NULL;
    }
    void (*stopped)(void *arg) = sender->stopped;
    sender->stopped = NULL;
    stopped(sender->stopped_arg); /* may free the sender */
}

/* No server has answered yet or will be asked before the deadline. */
static bool is_hopeless(const struct tly_forward_sender *sender)
{
    for (size_t i = 0; i < sender->server_count; i++) {
        const struct server *server = &sender->servers[i];
        if (server->link || server->next_try_ms < sender->deadline_ms) {
            return false;
        }
    }
    return true;
}

/* True when the stop is complete: the sender may be gone. */
static bool finish_if_done(struct tly_forward_sender *sender)
{
    if (!sender->stopped || !(is_empty(sender) || is_hopeless(sender))) {
        return false;
    }
    finish(sender);
    return true;
}

static void deadline_due(void *arg)
{
    finish(arg);
}

/* ---- the servers' connections ---- */

/* `carrier`: what is sent to all the same; NULL: nothing is, so it is tried again. */
static void say_lost(struct server *server, bool was_open, const char *text, int64_t wait_ms,
                     const struct server *carrier)
{
    enum { MORE_MAX = 64 };
    uint64_t held;
    if (!tly_log_limit_pass(&server->limit, tly_loop_now_ms(server->sender->loop), &held)) {
        return;
    }
    const char *name = server->sender->settings->name;
    const char *what = was_open ? "connection lost:" : "not connected:";
    char more[MORE_MAX] = "";
    if (held > 0) {
        (void)snprintf(more, sizeof(more), " (and %" PRIu64 " times since this was said)", held);
    }
    if (carrier) {
        tly_log_warn(WHO, "%s: %s %s; %s is still sent to%s", name, what, text, carrier->text,
                     more);
    } else {
        tly_log_warn(WHO, "%s: %s %s; next try in %.1f s%s", name, what, text,
                     (double)wait_ms / 1000, more);
    }
    server->said_open = false;
}

static void say_open(struct server *server)
{
    if (!server->said_open) {
        tly_log_info(WHO, "%s: connected to %s", server->sender->settings->name, server->text);
    }
    server->said_open = true;
}

/* By chance up to half of it less: agents that came together do not go together. */
static void start_age(struct tly_forward_sender *sender)
{
    uint64_t age_ms = (uint64_t)sender->settings->connection_max_age_ms;
    for (size_t i = 0; i < sender->server_count; i++) {
        sender->servers[i].passed = false;
    }
    if (age_ms > 0 && sender->carrier) {
        tly_timer_start(sender->age, (int64_t)(age_ms - tly_random_u64() % (age_ms / 2 + 1)), 0);
    }
}

/* Who takes over from whom, once `server` is lost. */
static void forget(struct tly_forward_sender *sender, struct server *server, int64_t wait_ms)
{
    if (sender->carrier == server) {
        sender->carrier = NULL;
        sender->next = NULL; /* it takes over from nobody: a server like the others */
    } else if (sender->next == server) {
        sender->next = NULL; /* the carrier goes on, until all that might take over were tried */
        server->passed = true;
        tly_timer_start(sender->age, wait_ms, 0);
    }
}

/* The connection, or the try, is over; its chunks go back to the queue. */
static void lose(struct server *server, enum tly_forward_reason reason, const char *text)
{
    struct tly_forward_sender *sender = server->sender;
    int64_t now_ms = tly_loop_now_ms(sender->loop);
    bool was_open = server->opened_ms > 0;
    bool lasted = was_open && now_ms - server->opened_ms >= PROVED_MS;
    if (lasted || server->acked) {
        tly_backoff_clear(&server->backoff);
    }
    if (lasted) {
        server->limit = (struct tly_log_limit){0};
    }
    int64_t wait_ms = tly_backoff_next_ms(&server->backoff);
    sender->errors[reason]++;
    bool replaces = sender->next == server && sender->carrier != server;
    say_lost(server, was_open, text, wait_ms, replaces ? sender->carrier : NULL);
    server->next_try_ms = now_ms + wait_ms;
    server->failed = true;
    forget(sender, server, wait_ms);
    tly_forward_link_free(server->link);
    server->link = NULL;
}

/* It has done its work. */
static void leave(struct server *server)
{
    tly_forward_link_free(server->link);
    server->link = NULL;
    server->next_try_ms = 0;
}

static void link_opened(void *arg)
{
    struct server *server = arg;
    server->connects++;
    server->failed = false;
    server->acked = false;
    server->opened_ms = tly_loop_now_ms(server->sender->loop);
    if (server->sender->next != server) { /* else that is said when it takes over */
        say_open(server);
    }
    settle(server->sender);
}

static void link_delivered(void *arg)
{
    struct server *server = arg;
    server->acked = server->sender->settings->require_ack;
    settle(server->sender);
}

static void link_roomy(void *arg)
{
    const struct server *server = arg;
    settle(server->sender);
}

static void link_ended(void *arg, enum tly_forward_reason reason, const char *text)
{
    struct server *server = arg;
    lose(server, reason, text);
    settle(server->sender);
}

static int64_t patience_ms(const struct tly_forward_sender *sender)
{
    bool impatient = tly_loop_now_ms(sender->loop) < sender->impatient_until_ms;
    return impatient ? 0 : sender->settings->give_up_after_ms;
}

static void link_gave_up(void *arg, const char *tag, size_t bytes, const char *text)
{
    const struct server *server = arg;
    struct tly_forward_sender *sender = server->sender;
    int64_t now_ms = tly_loop_now_ms(sender->loop);
    uint64_t held;
    if (now_ms >= sender->impatient_until_ms) { /* else it was given up without patience */
        sender->impatient_until_ms = now_ms + IMPATIENT_MS;
    }
    if (tly_log_limit_pass(&sender->drop_limit, now_ms, &held)) {
        tly_log_error(
            WHO,
            "%s: dropped one record of %zu bytes, tagged %.100s: sent alone it was refused "
            "several times, while others went through; the last time: %s%s",
            sender->settings->name, bytes, tag, text, tly_log_held(held).text);
    }
}

static void connect_to(struct server *server)
{
    static const struct tly_forward_link_events events = {
        .opened = link_opened,
        .delivered = link_delivered,
        .roomy = link_roomy,
        .gave_up = link_gave_up,
        .ended = link_ended,
    };
    struct tly_forward_sender *sender = server->sender;
    const struct tly_forward_settings *settings = sender->settings;
    const struct tly_forward_link_spec spec = {
        .loop = sender->loop,
        .address = server->address,
        .account = server->secured ? &server->account : NULL,
        .destination = sender->destination,
        .counts = &sender->counts,
        .require_ack = settings->require_ack,
        .proved = server->acked,
        .compression = (enum tly_forward_compression)settings->compression,
        .in_flight_max = (size_t)settings->in_flight_max,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .ack_timeout_ms = settings->ack_timeout_ms,
        .give_up_after_ms = patience_ms(sender),
    };
    server->opened_ms = 0;
    server->acked = false;
    sender->turn = (size_t)(server - sender->servers) + 1;
    int rc = tly_forward_link_new(&spec, &events, server, &server->link);
    if (rc < 0) {
        lose(server, rc == -ENOMEM ? TLY_FORWARD_LOCAL : TLY_FORWARD_CONNECT, tly_error_name(rc));
    }
}

/* ---- which servers are connected ---- */

/* The servers of one kind, seen together. */
struct group {
    bool open, trying;
    bool all_failed;     /* also when there is none */
    struct server *next; /* the first in turn whose time has come; NULL: none */
    int64_t next_try_ms; /* of the earliest without a link; INT64_MAX: none */
};

static struct group look_at(struct tly_forward_sender *sender, bool standby)
{
    struct group group = {.all_failed = true, .next_try_ms = INT64_MAX};
    int64_t now_ms = tly_loop_now_ms(sender->loop);
    for (size_t i = 0; i < sender->server_count; i++) {
        struct server *server = &sender->servers[(sender->turn + i) % sender->server_count];
        if (server->standby != standby) {
            continue;
        }
        group.open = group.open || is_open(server);
        group.trying = group.trying || (server->link && !is_open(server));
        group.all_failed = group.all_failed && server->failed;
        if (server->link) {
            continue;
        }
        if (!group.next && server->next_try_ms <= now_ms) {
            group.next = server;
        }
        if (server->next_try_ms < group.next_try_ms) {
            group.next_try_ms = server->next_try_ms;
        }
    }
    return group;
}

/* Whether a server of the kind may be connected to now, or has the chunks anyway. After the
 * carrier's time each is tried once. */
static bool may_carry(const struct tly_forward_sender *sender, const struct server *server,
                      bool standby)
{
    return server->standby == standby &&
           (server == sender->carrier || (!server->link && !server->passed &&
                                          server->next_try_ms <= tly_loop_now_ms(sender->loop)));
}

/* Which of the kind it is to be: the weights decide among those whose time has come. */
static struct server *draw(struct tly_forward_sender *sender, bool standby, struct server *in_turn)
{
    for (size_t i = 0; i < sender->server_count; i++) {
        const struct server *server = &sender->servers[i];
        sender->weights[i] = may_carry(sender, server, standby) ? server->weight : 0;
    }
    size_t drawn = tly_forward_draw(sender->weights, sender->server_count, tly_random_u64());
    return drawn < sender->server_count ? &sender->servers[drawn] : in_turn;
}

/* Connects to one server of the kind if none is connected; returns when to look again. */
static int64_t connect_one(struct tly_forward_sender *sender, bool standby)
{
    struct group group = look_at(sender, standby);
    if (!group.open && !group.trying && group.next) {
        connect_to(draw(sender, standby, group.next));
        group = look_at(sender, standby);
    }
    return group.open || group.trying ? INT64_MAX : group.next_try_ms;
}

static void balance(struct tly_forward_sender *sender)
{
    int64_t again_ms = connect_one(sender, false);
    struct group first = look_at(sender, false);
    if (!first.open && first.all_failed) {
        int64_t standby_ms = connect_one(sender, true);
        again_ms = standby_ms < again_ms ? standby_ms : again_ms;
    }
    if (again_ms == INT64_MAX) {
        tly_timer_stop(sender->retry);
        return;
    }
    int64_t wait_ms = again_ms - tly_loop_now_ms(sender->loop);
    tly_timer_start(sender->retry, wait_ms > 0 ? wait_ms : 0, 0);
}

/* ---- connections that have stood for their time ---- */

/* The carrier's time is over: another one is made, and takes over once it stands. */
static void age_due(void *arg)
{
    struct tly_forward_sender *sender = arg;
    struct server *carrier = sender->carrier;
    if (!carrier || carrier->standby || sender->next || sender->stopped) {
        return; /* the next carrier has a time of its own */
    }
    struct server *first = sender->servers;
    while (!may_carry(sender, first, false)) {
        first++; /* the carrier at the latest */
    }
    sender->next = draw(sender, false, first);
    if (sender->next != carrier) {
        connect_to(sender->next);
    }
    settle(sender);
}

/* Whether the carrier has to give way now. */
static bool is_replaced(const struct tly_forward_sender *sender)
{
    return sender->carrier && sender->next &&
           (sender->next == sender->carrier || is_open(sender->next));
}

/* Nothing of the carrier is under way any more. */
static void replace(struct tly_forward_sender *sender)
{
    struct server *old = sender->carrier;
    struct server *next = sender->next;
    sender->carrier = sender->next = NULL;
    leave(old);
    if (next == old) {
        connect_to(old);
        return;
    }
    old->said_open = false;
    next->said_open = true;
    tly_log_info(WHO, "%s: connected to %s instead of %s, after connection_max_age",
                 sender->settings->name, next->text, old->text);
}

/* ---- sending ---- */

static struct server *find_open(struct tly_forward_sender *sender, bool standby)
{
    for (size_t i = 0; i < sender->server_count; i++) {
        struct server *server = &sender->servers[i];
        if (server->standby == standby && is_open(server)) {
            return server;
        }
    }
    return NULL;
}

/* The server to send to now. One gives way to another once nothing of it is under way any more, so
 * that no chunk overtakes another. */
static struct server *choose_carrier(struct tly_forward_sender *sender)
{
    struct server *carrier = sender->carrier;
    bool standby_over = carrier && carrier->standby && find_open(sender, false);
    bool replaced = is_replaced(sender);
    if ((standby_over || replaced) && tly_forward_link_in_flight(carrier->link) > 0) {
        return NULL;
    }
    if (replaced) {
        replace(sender);
    }
    if (standby_over || replaced || !carrier) {
        struct server *first = find_open(sender, false);
        carrier = first ? first : find_open(sender, true);
        sender->carrier = carrier;
        if (carrier) {
            say_open(carrier); /* it may have waited for one that is gone */
        }
        start_age(sender);
    }
    return carrier;
}

/* Standbys that are connected, or being connected to, for nothing. */
static void close_standbys(struct tly_forward_sender *sender)
{
    if (!sender->carrier || sender->carrier->standby) {
        return;
    }
    for (size_t i = 0; i < sender->server_count; i++) {
        struct server *server = &sender->servers[i];
        if (server->standby && server->link) {
            if (is_open(server)) {
                tly_log_info(WHO, "%s: standby %s is not needed any more", sender->settings->name,
                             server->text);
            }
            server->said_open = false;
            tly_forward_link_free(server->link);
            server->link = NULL;
        }
    }
}

static void pump(struct tly_forward_sender *sender)
{
    struct server *carrier;
    struct tly_chunk *chunk;
    while ((carrier = choose_carrier(sender)) && tly_forward_link_has_room(carrier->link) &&
           (chunk = tly_forward_next(&sender->picker, carrier->link))) {
        int rc = tly_forward_link_send(carrier->link, chunk);
        if (rc == TLY_E_LIMIT || rc == -EMSGSIZE) {
            tly_forward_drop(&sender->picker, chunk);
        } else if (rc < 0) {
            tly_destination_give_back(sender->destination, chunk);
            lose(carrier, TLY_FORWARD_LOCAL, tly_error_name(rc));
        } else if (chunk->sends > 1) {
            sender->resent_chunks++;
        }
    }
}

/* After every change: sends what can be sent, then connects where that is needed, then sees whether
 * a stop is complete. The sender may be gone when it returns. */
static void settle(struct tly_forward_sender *sender)
{
    pump(sender);
    close_standbys(sender);
    balance(sender);
    (void)finish_if_done(sender);
}

static void retry_due(void *arg)
{
    settle(arg);
}

static void chunks_ready(void *arg)
{
    struct tly_forward_sender *sender = arg;
    pump(sender);
    balance(sender); /* a connection may have been lost by sending */
}

/* ---- life ---- */

static int server_init(struct server *server, struct tly_forward_sender *sender,
                       const struct tly_forward_server_settings *settings, struct tly_error *err)
{
    server->sender = sender;
    server->standby = settings->standby;
    server->weight = (uint32_t)settings->weight;
    server->secured = tly_forward_account(sender->settings, settings, sender->hostname,
                                          &server->account);
    int64_t most = sender->settings->retry_max_ms;
    tly_backoff_init(&server->backoff, RETRY_FIRST_MS < most ? RETRY_FIRST_MS : most, most);
    int rc = tly_forward_server_address(settings, &server->address, err);
    if (rc == 0) {
        tly_address_format(&server->address, server->text);
        server->address.tls = sender->tls;
    }
    return rc;
}

static struct tly_destination_limits limits_of(const struct tly_forward_settings *settings)
{
    return (struct tly_destination_limits){
        .chunk_bytes_max = (size_t)settings->chunk_bytes,
        .chunk_age_ms = settings->flush_interval_ms,
        .bytes_max = (size_t)settings->buffer_bytes_max,
    };
}

static int add_destination(struct tly_forward_sender *sender, struct tly_delivery *delivery,
                           struct tly_error *err)
{
    const struct tly_forward_settings *settings = sender->settings;
    const struct tly_destination_limits limits = limits_of(settings);
    if (sender->destination) {
        return 0;
    }
    int rc = tly_delivery_add(delivery, settings->name, &limits, &sender->destination);
    if (rc < 0) {
        return tly_error_set(err, rc, "destination `%s`: %s", settings->name, tly_error_name(rc));
    }
    sender->made = true;
    return 0;
}

static int sender_start(struct tly_forward_sender *sender, struct tly_delivery *delivery,
                        struct tly_error *err)
{
    const struct tly_forward_server_settings *servers = sender->settings->servers.at;
    tly_forward_hostname(sender->settings, sender->hostname);
    int rc = tly_forward_tls_new(&sender->settings->tls, &sender->tls, err);
    if (rc < 0) {
        tly_error_prefix(err, "destination `%s`", sender->settings->name);
        return rc;
    }
    for (size_t i = 0; i < sender->server_count; i++) {
        rc = server_init(&sender->servers[i], sender, &servers[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    rc = tly_timer_new(sender->loop, retry_due, sender, &sender->retry);
    rc = rc < 0 ? rc : tly_timer_new(sender->loop, deadline_due, sender, &sender->deadline);
    rc = rc < 0 ? rc : tly_timer_new(sender->loop, age_due, sender, &sender->age);
    if (rc < 0) {
        return tly_error_set(err, rc, "destination `%s`: %s", sender->settings->name,
                             tly_error_name(rc));
    }
    return add_destination(sender, delivery, err);
}

int tly_forward_sender_new(struct tly_loop *loop, struct tly_delivery *delivery,
                           struct tly_config *config, const struct tly_forward_settings *settings,
                           struct tly_destination *destination,
                           struct tly_forward_sender **ret_sender, struct tly_error *err)
{
    size_t count = settings->servers.count;
    struct tly_forward_sender *sender = calloc(1, sizeof(*sender) +
                                                      count * sizeof(sender->servers[0]));
    if (!sender) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    sender->loop = loop;
    sender->config = tly_config_ref(config);
    sender->settings = settings;
    sender->destination = destination;
    sender->server_count = count;
    sender->weights = calloc(count, sizeof(sender->weights[0]));
    int rc = sender->weights ? sender_start(sender, delivery, err)
                             : tly_error_set(err, -ENOMEM, "out of memory");
    if (rc < 0) {
        tly_forward_sender_free(sender);
        return rc;
    }
    sender->picker = (struct tly_forward_picker){
        .loop = loop, .destination = sender->destination, .name = settings->name};
    *ret_sender = sender;
    return 0;
}

void tly_forward_sender_begin(struct tly_forward_sender *sender)
{
    const struct tly_forward_settings *settings = sender->settings;
    const struct tly_selection selection = {
        .match = tly_terms_of(&settings->match),
        .exclude = tly_terms_of(&settings->exclude),
    };
    if (!sender->made) {
        const struct tly_destination_limits limits = limits_of(settings);
        tly_destination_limit(sender->destination, &limits);
    }
    tly_destination_select(sender->destination, &selection);
    tly_destination_attach(sender->destination, chunks_ready, sender);
    sender->attached = true;
    balance(sender);
}

const struct tly_forward_settings *
tly_forward_sender_settings(const struct tly_forward_sender *sender)
{
    return sender->settings;
}

struct tly_destination *tly_forward_sender_destination(const struct tly_forward_sender *sender)
{
    return sender->destination;
}

bool tly_forward_sender_made(const struct tly_forward_sender *sender)
{
    return sender->made;
}

void tly_forward_sender_stop(struct tly_forward_sender *sender, int64_t deadline_ms,
                             void (*stopped)(void *arg), void *arg)
{
    int64_t left_ms = deadline_ms - tly_loop_now_ms(sender->loop);
    sender->stopped = stopped;
    sender->stopped_arg = arg;
    sender->deadline_ms = deadline_ms;
    tly_timer_start(sender->deadline, left_ms > 0 ? left_ms : 0, 0);
    settle(sender);
}

void tly_forward_sender_free(struct tly_forward_sender *sender)
{
    if (!sender) {
        return;
    }
    for (size_t i = 0; i < sender->server_count; i++) {
        tly_forward_link_free(sender->servers[i].link);
    }
    if (sender->attached) {
        tly_destination_attach(sender->destination, NULL, NULL);
    }
    tly_timer_free(sender->retry);
    tly_timer_free(sender->deadline);
    tly_timer_free(sender->age);
    tly_tls_free(sender->tls);
    free(sender->weights);
    tly_config_free(sender->config);
    free(sender);
}

/* ---- metrics ---- */

static void meter_servers(const struct tly_forward_sender *sender, struct tly_samples *samples)
{
    static const char *const names[] = {"destination", "server"};
    for (size_t i = 0; i < sender->server_count; i++) {
        const struct server *server = &sender->servers[i];
        const struct tly_text values[] = {tly_text_of(sender->settings->name),
                                          tly_text_of(server->text)};
        uint16_t dim = tly_samples_dim(samples, names, values, 2);
        tly_samples_add(samples, TLY_F_tallyman_forward_connected, dim, is_open(server));
        tly_samples_add(samples, TLY_F_tallyman_forward_connects_total, dim,
                        (int64_t)server->connects);
    }
}

static void meter_errors(const struct tly_forward_sender *sender, struct tly_samples *samples)
{
    static const char *const names[] = {"destination", "reason"};
    for (size_t i = 0; i < TLY_FORWARD_REASONS; i++) {
        const struct tly_text values[] = {tly_text_of(sender->settings->name),
                                          tly_text_of(tly_forward_reason_names[i])};
        uint16_t dim = tly_samples_dim(samples, names, values, 2);
        tly_samples_add(samples, TLY_F_tallyman_forward_errors_total, dim,
                        (int64_t)sender->errors[i]);
    }
}

void tly_forward_sender_meter(const struct tly_forward_sender *sender, struct tly_samples *samples)
{
    const struct tly_forward_counts *counts = &sender->counts;
    size_t in_flight = 0;
    for (size_t i = 0; i < sender->server_count; i++) {
        const struct server *server = &sender->servers[i];
        in_flight += server->link ? tly_forward_link_in_flight(server->link) : 0;
    }
    meter_servers(sender, samples);
    meter_errors(sender, samples);
    uint16_t dim = tly_samples_dim1(samples, "destination", tly_text_of(sender->settings->name));
    tly_samples_add(samples, TLY_F_tallyman_forward_in_flight_chunks, dim, (int64_t)in_flight);
    tly_samples_add(samples, TLY_F_tallyman_forward_in_flight_chunks_max, dim,
                    sender->settings->in_flight_max);
    tly_samples_add(samples, TLY_F_tallyman_forward_acks_total, dim, (int64_t)counts->acks);
    tly_samples_add(samples, TLY_F_tallyman_forward_ack_seconds_total, dim, counts->ack_ns);
    tly_samples_add(samples, TLY_F_tallyman_forward_sent_bytes_total, dim,
                    (int64_t)counts->sent_bytes);
    tly_samples_add(samples, TLY_F_tallyman_forward_resent_chunks_total, dim,
                    (int64_t)sender->resent_chunks);
}
