/*
 * Connections: accepting them, and who has to go. The server owns a struct for each as long as the
 * daemon has the socket. A client proves itself by sending a whole request soon; at a limit the one
 * that has waited longest without any goes, so that ten thousand idle or dribbling connections only
 * push each other out, and never the one whose request is there.
 */
#include "agent/base/file.h"
#include "agent/web/server.h"
#include "agent/web/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Taken from one listener before the others have their turn. */
#define ACCEPTS_PER_TURN 32
/* How often time-outs are looked at. */
#define SWEEPS_PER_HEADER 10
/* System calls of one sweep, so that ten thousand connections don't hold the loop up; what is not
 * looked at has its time-out. */
#define PEEKS_MAX 512
/* How long accepting pauses when descriptors or memory are short. */
#define ACCEPT_PAUSE_MS 1000

static struct tly_web_peer peer_of(const struct sockaddr *address)
{
    struct tly_web_peer peer = {.family = AF_UNSPEC};
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        peer.family = AF_INET;
        memcpy(peer.address, &v4->sin_addr, sizeof(v4->sin_addr));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        const uint8_t *bytes = v6->sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            peer.family = AF_INET;
            memcpy(peer.address, bytes + 12, 4);
        } else {
            peer.family = AF_INET6;
            memcpy(peer.address, bytes, sizeof(peer.address));
        }
    }
    return peer;
}

static bool same_peer(const struct tly_web_peer *a, const struct tly_web_peer *b)
{
    return a->family == b->family && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* ---- who has how many ---- */

struct tly_text tly_web_peer_key(const struct tly_web_peer *peer)
{
    _Static_assert(sizeof(*peer) == sizeof(peer->family) + sizeof(peer->address), "no padding");
    _Static_assert(sizeof(*peer) <= TLY_AUTH_PEER_LEN, "it names a peer there, too");
    return (struct tly_text){(const char *)peer, sizeof(*peer)};
}

struct peer_count {
    size_t live;
};

static size_t peer_count(const struct tly_web *web, const struct tly_web_peer *peer)
{
    const struct peer_count *count = tly_map_get(web->peers, tly_web_peer_key(peer));
    return count != NULL ? count->live : 0;
}

static struct peer_count *peer_count_new(struct tly_web *web, struct tly_text key)
{
    struct peer_count *count = calloc(1, sizeof(*count));
    if (count != NULL && tly_map_put(web->peers, key, count, NULL) < 0) {
        free(count);
        count = NULL;
    }
    return count;
}

/* A connection more, or one less. Without memory for it a peer's connections are not counted. */
static void live_change(const struct tly_web_connection *connection, bool more)
{
    struct tly_web *web = connection->web;
    struct tly_text key = tly_web_peer_key(&connection->peer);
    struct peer_count *count = tly_map_get(web->peers, key);
    web->live += more ? 1 : (size_t)-1;
    if (more) {
        count = count != NULL ? count : peer_count_new(web, key);
        if (count != NULL) {
            count->live++;
        }
    } else if (count != NULL && --count->live == 0) {
        free(tly_map_remove(web->peers, key));
    }
}

void tly_web_connection_cut(struct tly_web_connection *connection)
{
    if (connection->closing) {
        return;
    }
    connection->closing = true;
    live_change(connection, false);
    (void)shutdown(connection->fd, SHUT_RDWR); /* fails when the peer was faster: as good */
}

/*
 * If the end comes together with the last bytes, the daemon never learns of it: it watches edges,
 * without EPOLLRDHUP, and takes a short read for the end of what is there (seen in 0.9.75).
 */
bool tly_web_client_is_done(const struct tly_web_connection *connection)
{
    char byte;
    return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void tly_web_connection_enter(struct tly_web_connection *connection, enum tly_web_phase phase)
{
    struct tly_web *web = connection->web;
    connection->phase = phase;
    connection->since_ms = tly_loop_now_ms(web->loop);
    TAILQ_REMOVE(&web->connections, connection, link);
    TAILQ_INSERT_TAIL(&web->connections, connection, link);
}

/* ---- limits ---- */

/* The connection that has to go first: the longest waiting, else the slowest taker. `peer` NULL:
 * of any peer. NULL: all are being served. */
static struct tly_web_connection *victim(struct tly_web *web, const struct tly_web_peer *peer)
{
    int64_t stalled_ms = tly_loop_now_ms(web->loop) - web->limits.stalled_ms;
    struct tly_web_connection *taker = NULL;
    struct tly_web_connection *at;
    TAILQ_FOREACH(at, &web->connections, link)
    {
        if (at->closing || (peer != NULL && !same_peer(&at->peer, peer))) {
            continue;
        }
        if (at->phase == TLY_WEB_WAITING) {
            return at;
        }
        if (taker == NULL && at->phase == TLY_WEB_SENDING && at->since_ms <= stalled_ms) {
            taker = at;
        }
    }
    return taker;
}

/* No peer may have more than half of all connections: the other half is for the others. */
static bool room_make(struct tly_web *web, const struct tly_web_peer *peer)
{
    size_t peer_max = (web->connections_max + 1) / 2;
    bool peer_full = peer->family != AF_UNSPEC && peer_count(web, peer) >= peer_max;
    if (!peer_full && web->live < web->connections_max) {
        return true;
    }
    struct tly_web_connection *out = victim(web, peer_full ? peer : NULL);
    if (out == NULL) {
        return false;
    }
    tly_web_connection_cut(out);
    web->cut[TLY_WEB_CUT_LIMIT]++;
    return true;
}

bool tly_web_answer_fits(struct tly_web *web, size_t bytes)
{
    int64_t stalled_ms = tly_loop_now_ms(web->loop) - web->limits.stalled_ms;
    size_t held = web->answer_bytes;
    struct tly_web_connection *at;
    TAILQ_FOREACH(at, &web->connections, link)
    {
        if (held == 0 || held + bytes <= web->limits.answer_bytes_max) {
            break;
        }
        if (at->phase == TLY_WEB_SENDING && at->since_ms <= stalled_ms) {
            if (!at->closing) {
                tly_web_connection_cut(at);
                web->cut[TLY_WEB_CUT_SLOW]++;
            }
            held -= at->answer_bytes; /* freed in the daemon's next run */
        }
    }
    return held == 0 || held + bytes <= web->limits.answer_bytes_max;
}

/* Closes the connection if its phase has lasted too long, or if the client is gone; `peeks` says
 * for how many that is still looked at. */
static bool sweep(struct tly_web *web, struct tly_web_connection *connection, size_t *peeks)
{
    bool waiting = connection->phase == TLY_WEB_WAITING;
    bool idle = waiting && connection->served;
    int64_t most_ms = waiting ? web->limits.header_ms : web->limits.sending_ms;
    most_ms = idle ? web->limits.idle_ms : most_ms;
    if (tly_loop_now_ms(web->loop) - connection->since_ms >= most_ms) {
        web->cut[idle ? TLY_WEB_CUT_IDLE : TLY_WEB_CUT_SLOW]++;
    } else if (!waiting || *peeks == 0) {
        return false;
    } else {
        --*peeks;
        if (!tly_web_client_is_done(connection)) {
            return false;
        }
    }
    tly_web_connection_cut(connection);
    return true;
}

void tly_web_sweep(struct tly_web *web)
{
    bool any = false;
    size_t peeks = PEEKS_MAX;
    struct tly_web_connection *at;
    TAILQ_FOREACH(at, &web->connections, link)
    {
        if (!at->closing && at->phase != TLY_WEB_HANDLING) {
            any = sweep(web, at, &peeks) || any;
        }
    }
    if (TAILQ_EMPTY(&web->connections)) {
        tly_timer_stop(web->sweep_timer);
    }
    if (any) {
        tly_web_run(web);
    }
}

/* ---- beginning and end ---- */

/* Gives a new TLS session the policy's certificates and rules. */
static void session_prepare(struct tly_web_connection *connection, struct MHD_Connection *mhd)
{
    if (connection->policy == NULL || connection->policy->tls == NULL) {
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info == NULL || info->tls_session == NULL ||
        tly_web_tls_attach(connection->policy->tls, info->tls_session) < 0) {
        tly_web_connection_cut(connection); /* never without the rules that were asked for */
    }
}

void tly_web_bury(struct tly_web *web)
{
    struct tly_web_connection *connection;
    while ((connection = TAILQ_FIRST(&web->retired)) != NULL) {
        TAILQ_REMOVE(&web->retired, connection, link);
        tly_web_policy_unref(connection->policy);
        free(connection);
    }
}

void tly_web_notify_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct tly_web *web = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct tly_web_connection *connection = web->adopting;
        web->adopting = NULL;
        *socket_context = connection;
        connection->since_ms = tly_loop_now_ms(web->loop);
        TAILQ_INSERT_TAIL(&web->connections, connection, link);
        live_change(connection, true);
        session_prepare(connection, mhd);
        return;
    }
    struct tly_web_connection *connection = *socket_context;
    TAILQ_REMOVE(&web->connections, connection, link);
    if (!connection->closing) {
        live_change(connection, false);
    }
    web->broken += !connection->served && !connection->closing ? 1 : 0;
    TAILQ_INSERT_TAIL(&web->retired, connection, link);
    if (web->stopping && TAILQ_EMPTY(&web->connections)) {
        tly_defer_call(web->stopped_defer);
    }
}

void tly_web_adopt(struct tly_web *web, int fd, const struct sockaddr *address,
                   socklen_t address_len)
{
    struct tly_web_peer peer = peer_of(address);
    struct tly_web_connection *connection = NULL;
    if (room_make(web, &peer)) {
        connection = calloc(1, sizeof(*connection));
    }
    if (connection == NULL) {
        web->refused++;
        tly_fd_close(&fd);
        return;
    }
    bool tls = web->policy != NULL && web->policy->tls != NULL;
    *connection = (struct tly_web_connection){
        .web = web,
        .fd = fd,
        .peer = peer,
        .phase = TLY_WEB_WAITING,
        .policy = web->policy != NULL ? tly_web_policy_ref(web->policy) : NULL};
    web->adopting = connection;
    struct MHD_Daemon *mhd = web->daemons[tls ? TLY_WEB_TLS : TLY_WEB_PLAIN].mhd;
    if (MHD_add_connection(mhd, fd, address, address_len) != MHD_YES) {
        web->refused++;
        if (web->adopting != NULL) { /* else the daemon had told us of it, and of its end */
            tly_web_policy_unref(connection->policy);
            free(connection);
        }
        web->adopting = NULL;
        return;
    }
    web->accepted++;
    if (!tly_timer_active(web->sweep_timer)) {
        int64_t sweep_ms = web->limits.header_ms / SWEEPS_PER_HEADER;
        tly_timer_start(web->sweep_timer, sweep_ms, sweep_ms);
    }
}

/* Without descriptors accept fails, and the listener stays readable: a pause, and one idle client
 * less. */
static void accept_pause(struct tly_web *web, int code)
{
    struct tly_web_connection *out = victim(web, NULL);
    if (out != NULL) {
        tly_web_connection_cut(out);
        web->cut[TLY_WEB_CUT_LIMIT]++;
    }
    for (size_t i = 0; i < web->listener_count; i++) {
        tly_poll_stop(web->listeners[i].poll);
    }
    tly_timer_start(web->accept_timer, ACCEPT_PAUSE_MS, 0);
    uint64_t held;
    if (tly_log_limit_pass(&web->accept_failures, tly_loop_now_ms(web->loop), &held)) {
        tly_log_warn("web", "can't accept connections: %s; waiting a second before the next try",
                     tly_error_name(code));
    }
}

void tly_web_accept(struct tly_web_listener *listener)
{
    tly_web_policy_look(listener->web);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof(address);
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            tly_web_adopt(listener->web, fd, (const struct sockaddr *)&address, len);
            continue;
        }
        int code = -errno;
        if (code == -EMFILE || code == -ENFILE || code == -ENOBUFS || code == -ENOMEM) {
            accept_pause(listener->web, code);
        }
        if (code != -EINTR && code != -ECONNABORTED) {
            break;
        }
    }
    tly_web_run(listener->web);
}
