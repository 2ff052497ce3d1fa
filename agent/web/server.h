/*
 * Private to this room: the server and what hangs on it. A libmicrohttpd daemon serves all
 * connections, a second one those with TLS; they have no listening socket and no time-outs of their
 * own. We accept, so that at a limit
 * somebody slow or idle goes instead of the newcomer; we close by shutting the socket down, upon
 * which the daemon ends the connection in its own order.
 */
#ifndef TLY_WEB_SERVER_H
#define TLY_WEB_SERVER_H

#include "agent/base/error.h"
#include "agent/base/map.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "agent/loop/stream.h"
#include "agent/web/auth.h"
#include "agent/web/overview.h"
#include "agent/web/policy.h"
#include "agent/web/route.h"
#include "agent/web/web.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define TLY_WEB_LISTENERS_MAX 16
#define TLY_WEB_ROUTES_MAX    32

/* Where a connection stands. */
enum tly_web_phase {
    TLY_WEB_WAITING,  /* for a whole request header: new, slow, or kept alive */
    TLY_WEB_HANDLING, /* a handler has the request */
    TLY_WEB_SENDING,  /* the client takes the answer */
};

/* One client, as far as limits go: an IPv4 address, or the /64 of an IPv6 one. */
struct tly_web_peer {
    sa_family_t family; /* AF_UNSPEC: local, without a limit per peer */
    uint8_t address[8];
};

struct tly_web_connection {
    TAILQ_ENTRY(tly_web_connection) link;
    struct tly_web *web;
    int fd;                        /* the daemon's */
    struct tly_web_policy *policy; /* as of its beginning; a reference, or NULL */
    struct tly_web_peer peer;
    enum tly_web_phase phase;
    int64_t since_ms; /* when the phase began */
    bool served;      /* had an answer before */
    bool closing;     /* shut down; the daemon will end it in its next run */
    size_t answer_bytes;
    struct tly_http_request *request; /* from the end of its header to that of its answer */
};

TAILQ_HEAD(tly_web_connections, tly_web_connection);

struct tly_web_listener {
    struct tly_web *web;
    struct tly_address address;
    bool inherited;  /* from systemd: `address` is only for messages */
    char wanted[64]; /* of a socket that systemd hands over: its name, or "" for any */
    int fd;          /* -1: not open */
    uint16_t port;
    struct tly_poll *poll;
};

/* Why a connection was closed by us. */
enum tly_web_cut { TLY_WEB_CUT_LIMIT, TLY_WEB_CUT_SLOW, TLY_WEB_CUT_IDLE, TLY_WEB_CUT_COUNT };

/* The status codes that are counted one by one; all others together. */
enum { TLY_WEB_CODES = 10 };
extern const unsigned tly_web_codes[TLY_WEB_CODES]; /* the last one is 0: any other */

enum { TLY_WEB_PLAIN, TLY_WEB_TLS, TLY_WEB_DAEMONS };

/* How long a phase may last, and other bounds; tests shorten them. */
struct tly_web_limits {
    int64_t header_ms;  /* from connecting to the end of the first request's header */
    int64_t idle_ms;    /* from one answer to the end of the next request's header */
    int64_t sending_ms; /* for taking an answer */
    int64_t stalled_ms; /* a client that takes this long over an answer may have to make room */
    int64_t stop_ms;    /* for requests under way when the server stops */
    size_t answer_bytes_max; /* answers in memory, in all; one alone may be longer */
};

struct tly_web {
    struct tly_loop *loop;
    struct tly_web_limits limits;
    size_t connections_max;
    struct tly_web_listener listeners[TLY_WEB_LISTENERS_MAX];
    size_t listener_count;
    struct {
        const struct tly_route *route;
        void *self;
        bool withdrawn;
    } routes[TLY_WEB_ROUTES_MAX];
    size_t route_count;
    bool (*ready)(void *arg, struct tly_buf *missing);
    void *ready_arg;
    struct tly_snapshot *(*snapshot_take)(void *arg); /* NULL: there is nothing to show */
    void *snapshot_arg;
    struct tly_web_api *api;
    struct tly_web_page page;
    struct tly_web_overview *overview;

    /* The web configuration file: what holds, and what is known of the file. */
    struct tly_web_policy *policy; /* a reference; NULL: there is no such file */
    char *policy_path;
    uint64_t policy_stamp;
    int64_t policy_looked_ms;
    int64_t policy_loaded_s; /* Unix time */
    bool policy_failed;      /* the file can't be used as it is now; `policy` is an older one */
    uint64_t policy_failures;
    char policy_problem[TLY_ERROR_TEXT_MAX]; /* that was said last */
    struct tly_web_auth *auth;
    int64_t rate_ns; /* monotonic; when the next request would come if they came evenly */

    struct {
        struct MHD_Daemon *mhd; /* NULL: not started */
        struct tly_poll *poll;
    } daemons[TLY_WEB_DAEMONS];
    size_t header_bytes_max;
    struct tly_timer *run_timer;    /* the daemon wants to run again at once */
    struct tly_timer *sweep_timer;  /* runs while there are connections */
    struct tly_timer *accept_timer; /* accepting goes on after a lack of descriptors */
    struct tly_timer *stop_timer;

    /* The phase that began longest ago comes first. */
    struct tly_web_connections connections;
    size_t live;                         /* of them, those that are not closing */
    struct tly_map *peers;               /* how many of those each peer has */
    struct tly_web_connection *adopting; /* to be taken over by the daemon's call back */
    struct tly_web_connections retired;  /* ended, but their TLS session may not have gone yet */
    size_t answer_bytes;                 /* of all answers being sent */

    bool stopping;
    struct tly_defer *stopped_defer;
    void (*stopped)(void *arg);
    void *stopped_arg;

    uint64_t accepted, refused, broken, denied, limited;
    uint64_t cut[TLY_WEB_CUT_COUNT];
    uint64_t answered[TLY_WEB_CODES];
    struct tly_log_limit accept_failures, denials;
};

/* ---- web.c ---- */

/* Lets the daemons work off what is ready. Not from inside their own calls. */
void tly_web_run(struct tly_web *web);
/* Starts the daemon for TLS, where it does not run yet. */
int tly_web_daemon_start(struct tly_web *web, int which) TLY_CHECK;

/* ---- reload.c ---- */

/* Reads the web configuration file for the first time. */
int tly_web_policy_begin(struct tly_web *web, const char *path, struct tly_error *err) TLY_CHECK;
/* Looks, at most once a second, whether one of its files has changed, and loads it anew. What can't
 * be used is said, and changes nothing. */
void tly_web_policy_look(struct tly_web *web);
/* Says aloud, once, where others can read what this server tells. */
void tly_web_warn_exposed(const struct tly_web *web);

/* ---- inherit.c ---- */

/* Gives the sockets that systemd hands over (sd_listen_fds(3)) to the listeners that want them;
 * those that nobody wants are said. The error says which listener has none. */
int tly_web_inherit(struct tly_web *web, struct tly_error *err) TLY_CHECK;

/* ---- listen.c ---- */

/* A listening socket, non-blocking. The error says what to do about it. */
int tly_web_listen(const struct tly_address *address, int *ret_fd, uint16_t *ret_port,
                   struct tly_error *err) TLY_CHECK;
/* 0 for a Unix socket. */
uint16_t tly_web_socket_port(int fd);
/* Where a listening socket is, for messages. */
void tly_web_socket_name(int fd, char to[TLY_ADDRESS_TEXT_MAX]);
/* Whether only programs on this host can connect. */
bool tly_web_is_local(int fd);
/* Closes the socket; a Unix socket's name goes too. */
void tly_web_unlisten(struct tly_web_listener *listener);

/* ---- connection.c ---- */

/* Takes a connected, non-blocking socket over; where there is no room it is closed and counted as
 * refused. The daemon has to run afterwards. */
void tly_web_adopt(struct tly_web *web, int fd, const struct sockaddr *address,
                   socklen_t address_len);
/* The peer as bytes, borrowed. */
struct tly_text tly_web_peer_key(const struct tly_web_peer *peer);
/* Accepts what waits at the listener. */
void tly_web_accept(struct tly_web_listener *listener);
/* Frees what has ended. */
void tly_web_bury(struct tly_web *web);
/* Closes connections whose phase has lasted too long. */
void tly_web_sweep(struct tly_web *web);
/* Shuts the socket down; the daemon ends the connection in its next run. */
void tly_web_connection_cut(struct tly_web_connection *connection);
void tly_web_connection_enter(struct tly_web_connection *connection, enum tly_web_phase phase);
/* Whether the client has closed, or said that nothing more comes, and everything was read. */
bool tly_web_client_is_done(const struct tly_web_connection *connection);
/* Makes room for an answer; false when there is none. */
bool tly_web_answer_fits(struct tly_web *web, size_t bytes);
/* MHD_OPTION_NOTIFY_CONNECTION */
void tly_web_notify_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                               enum MHD_ConnectionNotificationCode code);

/* ---- request.c ---- */

/* The daemon's access handler, and MHD_OPTION_NOTIFY_COMPLETED. */
enum MHD_Result tly_web_handle(void *cls, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **context);
void tly_web_notify_completed(void *cls, struct MHD_Connection *mhd, void **context,
                              enum MHD_RequestTerminationCode code);
/* Takes the request's connection away: whoever handles it may still answer, for nobody. */
void tly_web_request_cut(struct tly_http_request *request);

/* ---- source.c ---- */

/* The body of an answer that comes from a source; NULL when memory is out, and the source is done
 * with. */
struct MHD_Response *tly_web_source_response(const struct tly_http_source *source, size_t len);

/* ---- containers.c ---- */

struct tly_web_api; /* what requests under way share; counted */
int tly_web_api_new(struct tly_web_api **ret_api) TLY_CHECK;
void tly_web_api_unref(struct tly_web_api *api); /* NULL is fine */
/* The handler of /api/v1/containers; `self` is the server. */
void tly_web_containers_handle(void *self, struct tly_http_request *request);

/* ---- page.c ---- */

extern const struct tly_route tly_web_pages[]; /* the server's own; ends in a row with path NULL */
void tly_web_refuse(struct tly_http_request *request, unsigned status, const char *text);

#endif
