/*
 * The receiver: records of Docker's fluentd log driver and of other forward clients go into the
 * spool, and an answer goes back once its records are safe there. The runner starts and stops it.
 *
 * The spool writes in batches, each of which has a ticket: one is on its way to the disk while the
 * next gathers. Answers follow the same two lots: those that wait belong to the ticket that
 * gathers, those that are sealed to the one before.
 *
 * A container whose log driver is not read from blocks. So clients that want no answers are read
 * whatever happens, and what the spool has no room for is dropped and counted; those that want
 * answers can't be answered for what is not safe, and wait.
 */
#include "collectors/receiver/collector.h"

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/codec/forward_auth.h"
#include "agent/codec/record.h"
#include "agent/intake/intake.h"
#include "agent/loop/log.h"
#include "agent/loop/tls.h"
#include "collectors/receiver/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHO "receiver"

#define HOSTNAME_MAX 256

/* `[EventTime, map]` around a map that is as long as the codec lets through. */
#define RECORD_BYTES_MAX (TLY_FORWARD_FRAME_BYTES_MAX + TLY_RECORD_HEAD_MAX + TLY_RECORD_TIME_MAX)

/* A stop waits this long for the disk, and for clients to take their answers; it looks again and
 * again whether all is done. */
#define STOP_MS      2000
#define STOP_LOOK_MS 10

/* Buffers that unusual records made longer than this are given back. */
#define RECORD_BYTES_KEPT ((size_t)256 << 10)

struct collector {
    const struct tly_context *context;
    const struct tly_receiver_settings *settings;
    struct tly_intake *intake; /* NULL: nothing to listen on */
    struct tly_tls *tls;
    struct tly_forward_gate gate;
    struct tly_forward_user *users;
    char hostname[HOSTNAME_MAX];
    struct tly_buf record; /* on its way to the spool */
    size_t refused;        /* records of the frame that is being read, which nobody may answer */
    size_t too_long;       /* records of it that are never taken */
    uint64_t frame_ticket; /* of what the newest answers wait for */
    uint64_t last_ticket;  /* of the last record that was appended */
    uint64_t safe_ticket;
    uint64_t dropped; /* records that nobody will send again */
    struct tly_log_limit drop_limit;
    struct tly_run_stats stats;

    struct tly_timer *stopping; /* NULL: it runs */
    int64_t stop_by_ms;
    uint64_t stop_bytes; /* that had been received at the last look */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- records ---- */

static int pack(struct collector *self, const struct tly_forward_record *record)
{
    char *to;
    int64_t time_ns = record->time_ns ? record->time_ns : tly_clock_realtime_ns();
    tly_buf_clear(&self->record);
    int rc = tly_buf_reserve(&self->record,
                             TLY_RECORD_HEAD_MAX + TLY_RECORD_TIME_MAX + record->fields.len, &to);
    if (rc < 0) {
        return rc;
    }
    char *at = tly_record_put_time(tly_record_put_array(to, 2), time_ns);
    memcpy(at, record->fields.at, record->fields.len);
    self->record.len = (size_t)(at - to) + record->fields.len;
    return 0;
}

/* What is there of an asking client is always taken, since it has been read. One that asks for the
 * first time may be on its next connection with the same frame, as often as it likes: without room,
 * or at a stop, nothing of it is taken. */
static int begin_frame(void *arg, const struct tly_intake_client *client,
                       const struct tly_forward_frame *frame)
{
    const struct collector *self = arg;
    bool asks_first = frame->chunk.len > 0 && !tly_intake_client_asks(client);
    bool room = !self->stopping && tly_delivery_has_room(self->context->delivery);
    return asks_first && !room ? -ENOBUFS : 0;
}

static int take_record(void *arg, const struct tly_intake_client *client,
                       const struct tly_forward_record *record)
{
    struct collector *self = arg;
    struct tly_delivery *delivery = self->context->delivery;
    int rc = pack(self, record);
    rc = rc < 0 ? rc : tly_delivery_append(delivery, record->tag, tly_buf_text(&self->record));
    if (rc == 0) {
        self->last_ticket = tly_delivery_ticket(delivery);
        return 0;
    }
    if (rc == -EMSGSIZE) { /* however often it is sent */
        self->too_long++;
        return 0;
    }
    self->refused++;
    return tly_intake_client_asks(client) ? rc : 0;
}

static void drop(struct collector *self, const struct tly_intake_client *client, size_t records,
                 const char *why)
{
    uint64_t held;
    self->dropped += records;
    if (records > 0 &&
        tly_log_limit_pass(&self->drop_limit, tly_loop_now_ms(self->context->loop), &held)) {
        tly_log_error(WHO, "%s: %zu records are dropped: %s%s", tly_intake_client_peer(client),
                      records, why, tly_log_held(held).text);
    }
}

static void forget_refused(struct collector *self)
{
    self->refused = 0;
    self->too_long = 0;
}

static int take_frame(void *arg, const struct tly_intake_client *client,
                      const struct tly_forward_frame *frame)
{
    struct collector *self = arg;
    (void)frame;
    drop(self, client, self->refused,
         "the spool takes no more, and the client does not wait for answers");
    drop(self, client, self->too_long, "they, or their tag, are too long");
    forget_refused(self);
    /* Not the delivery's ticket of now: a frame without a record has nothing written for it. */
    if (self->last_ticket != self->frame_ticket) {
        tly_intake_seal(self->intake);
        self->frame_ticket = self->last_ticket;
    }
    return 0;
}

/* What was appended of it stays in the spool. That takes memory that is out, or a frame of little
 * else than tiny records, which grow there, at the hard bound. */
static void frame_broken(void *arg)
{
    forget_refused(arg);
}

static void read_on(struct collector *self)
{
    bool room = !self->stopping && tly_delivery_has_room(self->context->delivery);
    tly_intake_read(self->intake, room ? TLY_INTAKE_READS_ALL : TLY_INTAKE_READS_SILENT);
}

static void received(void *arg)
{
    struct collector *self = arg;
    if (self->record.cap > RECORD_BYTES_KEPT) {
        tly_buf_done(&self->record);
        tly_buf_init(&self->record, RECORD_BYTES_MAX);
    }
    if (self->last_ticket <= self->safe_ticket) { /* frames without a record */
        tly_intake_seal(self->intake);
        tly_intake_answer(self->intake);
    }
    read_on(self);
}

/* Everything with this ticket, and before, is on disk. */
static void safe(void *arg, uint64_t ticket)
{
    struct collector *self = arg;
    self->safe_ticket = ticket;
    if (self->frame_ticket <= ticket) {
        tly_intake_seal(self->intake);
    }
    tly_intake_answer(self->intake);
    read_on(self);
}

/* ---- the books ---- */

static void meter(void *arg, struct tly_samples *samples)
{
    const struct collector *self = arg;
    struct tly_intake_counts counts;
    tly_intake_counts(self->intake, &counts);
    const struct {
        enum tly_family_id family;
        uint64_t value;
    } rows[] = {
        {TLY_F_tallyman_receiver_connections_open, counts.open},
        {TLY_F_tallyman_receiver_connections_max, (uint64_t)self->settings->connections_max},
        {TLY_F_tallyman_receiver_connections_total, counts.connections},
        {TLY_F_tallyman_receiver_connections_refused_total, counts.refused},
        {TLY_F_tallyman_receiver_connections_broken_total, counts.broken},
        {TLY_F_tallyman_receiver_received_bytes_total, counts.bytes},
        {TLY_F_tallyman_receiver_frames_total, counts.frames},
        {TLY_F_tallyman_receiver_records_total, counts.records},
        {TLY_F_tallyman_receiver_records_skipped_total, counts.skipped},
        {TLY_F_tallyman_receiver_records_dropped_total, self->dropped},
        {TLY_F_tallyman_receiver_unfinished_bytes, counts.unfinished_bytes},
        {TLY_F_tallyman_receiver_unfinished_max_bytes,
         (uint64_t)self->settings->unfinished_bytes_max},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tly_samples_add(samples, rows[i].family, TLY_DIM_NONE, (int64_t)rows[i].value);
    }
}

/* ---- life ---- */

static int gate_make(struct collector *self)
{
    const struct tly_receiver_settings *settings = self->settings;
    const struct tly_receiver_user_settings *users = settings->users.at;
    const char *name = settings->self_hostname;
    if (!name) {
        if (gethostname(self->hostname, sizeof(self->hostname) - 1) < 0) {
            self->hostname[0] = '\0';
        }
        name = self->hostname;
    }
    self->users = calloc(settings->users.count + 1, sizeof(*self->users)); /* never of 0 bytes */
    if (!self->users) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < settings->users.count; i++) {
        self->users[i] = (struct tly_forward_user){tly_text_of(users[i].name),
                                                   tly_text_of(users[i].password)};
    }
    self->gate = (struct tly_forward_gate){.hostname = tly_text_of(name),
                                           .shared_key = tly_text_of(settings->shared_key),
                                           .users = self->users,
                                           .user_count = settings->users.count};
    return 0;
}

static int intake_make(struct collector *self)
{
    static const struct tly_intake_events events = {.begin = begin_frame,
                                                    .record = take_record,
                                                    .frame = take_frame,
                                                    .broken = frame_broken,
                                                    .received = received};
    const struct tly_spool_settings *spool = tly_config_section(self->context->config,
                                                                &tly_spool_section);
    /* A frame that begins while there is room has to fit as a whole. */
    size_t most = (size_t)spool->memory_bytes_max;
    most = most < TLY_FORWARD_FRAME_BYTES_MAX ? most : TLY_FORWARD_FRAME_BYTES_MAX;
    const struct tly_intake_spec spec = {
        .loop = self->context->loop,
        .who = WHO,
        .limits = {.frame_bytes_max = most, .inflated_bytes_max = most},
        .connections_max = (size_t)self->settings->connections_max,
        .unfinished_bytes_max = (size_t)self->settings->unfinished_bytes_max,
        .events = &events,
        .arg = self,
    };
    return tly_intake_new(&spec, &self->intake);
}

static bool is_local(const struct tly_address *address)
{
    return *address->path || strcmp(address->host, "localhost") == 0 ||
           strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0;
}

static int listen_on(struct collector *self, const char *text, struct tly_error *err)
{
    const struct tly_receiver_settings *settings = self->settings;
    struct tly_address address;
    char name[TLY_ADDRESS_TEXT_MAX];
    int rc = tly_address_parse(tly_text_of(text), TLY_FORWARD_PORT, &address, err);
    if (rc < 0) {
        return rc;
    }
    bool network = !*address.path;
    address.tls = network ? self->tls : NULL;
    rc = tly_intake_listen(self->intake, &address,
                           network && settings->shared_key ? &self->gate : NULL, err);
    if (rc < 0) {
        return rc;
    }
    tly_address_format(&address, name);
    tly_log_info(WHO, "listening on %s", name);
    if (!is_local(&address) && !settings->shared_key && !settings->tls.ca_file) {
        tly_log_warn(WHO,
                     "whoever reaches %s can send records: set receiver.shared_key, or "
                     "receiver.tls.ca_file for clients with certificates",
                     name);
    }
    return 0;
}

static int check_context(const struct collector *self, struct tly_error *err)
{
    if (tly_delivery_ticket(self->context->delivery) == 0) {
        return tly_error_set(err, -ENOTSUP,
                             "records can't be received without a spool, which needs a state_dir");
    }
    if (tly_delivery_count(self->context->delivery) == 0) {
        return tly_error_set(err, -EINVAL,
                             "receiver.listen is set, but there is no destination: nobody would "
                             "get the records; add one under `forward`");
    }
    return 0;
}

static int start_listening(struct collector *self, struct tly_error *err)
{
    const struct tly_receiver_settings *settings = self->settings;
    int rc = check_context(self, err);
    if (rc < 0) {
        return rc;
    }
    if (settings->tls.enabled) {
        const struct tly_tls_spec spec = {.server = true,
                                          .ca_file = settings->tls.ca_file,
                                          .cert_file = settings->tls.cert_file,
                                          .key_file = settings->tls.key_file};
        rc = tly_tls_new(&spec, &self->tls, err);
        if (rc < 0) {
            tly_error_prefix(err, "tls");
            return rc;
        }
    }
    rc = gate_make(self);
    rc = rc < 0 ? rc : intake_make(self);
    rc = rc < 0 ? rc : tly_inventory_meter(self->context->inventory, meter, self);
    if (rc < 0) {
        return tly_error_set(err, rc, "cannot set up the receiver: %s", tly_error_name(rc));
    }
    tly_delivery_on_safe(self->context->delivery, safe, self);
    for (size_t i = 0; rc == 0 && i < settings->listen.count; i++) {
        rc = listen_on(self, settings->listen.at[i], err);
    }
    return rc;
}

static void collector_free(struct collector *self)
{
    if (self->intake) {
        tly_inventory_unmeter(self->context->inventory, meter, self);
        tly_delivery_on_safe(self->context->delivery, NULL, NULL);
        tly_intake_free(self->intake);
    }
    tly_timer_free(self->stopping);
    tly_tls_free(self->tls);
    tly_buf_done(&self->record);
    free(self->users);
    free(self);
}

static void stop_finish(struct collector *self)
{
    void (*stopped)(void *arg) = self->stopped;
    void *arg = self->stopped_arg;
    collector_free(self);
    stopped(arg);
}

/* Whether nothing came since the last look, all that came is safe, and its answers are sent. */
static bool stop_is_done(struct collector *self)
{
    struct tly_intake_counts counts;
    tly_intake_counts(self->intake, &counts);
    bool quiet = counts.bytes == self->stop_bytes;
    self->stop_bytes = counts.bytes;
    return quiet && self->last_ticket <= self->safe_ticket && !tly_intake_owes(self->intake);
}

static void stop_look(void *arg)
{
    struct collector *self = arg;
    if (stop_is_done(self) || tly_loop_now_ms(self->context->loop) >= self->stop_by_ms) {
        stop_finish(self);
    }
}

/* What has arrived of clients that ask for no answers is read, since nobody sends it again; and
 * what was taken of the others is answered, or they would send it again. */
static void collector_stop(void *arg, void (*stopped)(void *arg), void *stopped_arg)
{
    struct collector *self = arg;
    struct tly_loop *loop = self->context->loop;
    self->stopped = stopped;
    self->stopped_arg = stopped_arg;
    if (!self->intake || tly_timer_new(loop, stop_look, self, &self->stopping) < 0) {
        stop_finish(self);
        return;
    }
    tly_intake_bar(self->intake);
    read_on(self);
    self->stop_by_ms = tly_loop_now_ms(loop) + STOP_MS;
    self->stop_bytes = UINT64_MAX; /* the first look may come before anything could be read */
    tly_timer_start(self->stopping, STOP_LOOK_MS, STOP_LOOK_MS);
}

static int collector_start(const struct tly_context *context, void **ret_self,
                           struct tly_error *err)
{
    struct collector *self = calloc(1, sizeof(*self));
    if (!self) {
        return tly_error_set(err, -ENOMEM, "out of memory");
    }
    self->context = context;
    self->settings = tly_config_section(context->config, &tly_receiver_section);
    self->stats.success = true;
    tly_buf_init(&self->record, RECORD_BYTES_MAX);
    int rc = self->settings->listen.count > 0 ? start_listening(self, err) : 0;
    if (rc < 0) {
        collector_free(self);
        return rc;
    }
    *ret_self = self;
    return 0;
}

static const struct tly_run_stats *collector_stats(const void *arg)
{
    const struct collector *self = arg;
    return &self->stats;
}

static bool collector_ready(const void *arg)
{
    (void)arg;
    return true;
}

static void collector_needs(const struct tly_config *config, struct tly_needs *needs)
{
    const struct tly_receiver_settings *settings = tly_config_section(config,
                                                                      &tly_receiver_section);
    for (size_t i = 0; i < settings->listen.count; i++) {
        struct tly_address address;
        if (tly_address_parse(tly_text_of(settings->listen.at[i]), 0, &address, NULL) < 0) {
            continue; /* the start will say so */
        }
        if (address.path[0] != '\0') {
            tly_needs_socket(needs, address.path);
        } else {
            tly_needs_listen(needs, address.port);
        }
    }
}

const struct tly_collector tly_collector_receiver = {
    .name = WHO,
    .summary = "Records of Docker's fluentd log driver and of other forward clients",
    .section = &tly_receiver_section,
    .start = collector_start,
    .stop = collector_stop,
    .stats = collector_stats,
    .ready = collector_ready,
    .needs = collector_needs,
};
