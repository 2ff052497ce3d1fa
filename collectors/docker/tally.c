/*
 * Counting ends and execs of one container; see tally.h.
 */
#include "collectors/docker/tally.h"

#include <string.h>

/* The last place is that of all other codes. */
static const struct {
    int64_t code;
    const char *label;
} exit_codes[TLY_DOCKER_EXIT_CODES - 1] = {
    {0, "0"},     {1, "1"},     {2, "2"},     {126, "126"}, {127, "127"},
    {134, "134"}, {137, "137"}, {139, "139"}, {143, "143"},
};

/* ---- ends ---- */

void tly_docker_tally_exit(struct tly_docker_tally *tally, int64_t code)
{
    size_t place = 0;
    while (place < TLY_DOCKER_EXIT_CODES - 1 && exit_codes[place].code != code) {
        place++;
    }
    tally->exits[place]++;
}

int64_t tly_docker_tally_restarts(struct tly_docker_tally *tally, int64_t restarts)
{
    if (restarts == TLY_UNKNOWN) {
        return tally->restarts_known ? tally->restarts : TLY_UNKNOWN;
    }
    bool reset = !tally->restarts_known || restarts < tally->restarts_seen;
    tally->restarts += reset ? restarts : restarts - tally->restarts_seen;
    tally->restarts_seen = restarts;
    tally->restarts_known = true;
    return tally->restarts;
}

/* ---- execs ---- */

/* "root", "0", "" (nobody was named), each also with a group behind. */
static bool is_root(struct tly_text user)
{
    struct tly_text name = user.len > 0 ? tly_text_cut(&user, ':') : user;
    return name.len == 0 || tly_text_equal(name, TLY_TEXT("root")) ||
           tly_text_equal(name, TLY_TEXT("0"));
}

static enum tly_docker_exec_user user_of(const struct tly_container *container,
                                         const struct tly_engine_exec *exec)
{
    struct tly_text user = tly_text_of(exec->user);
    if (is_root(user)) {
        return TLY_DOCKER_EXEC_ROOT;
    }
    struct tly_text own = tly_text_of(container->user);
    own.len = own.len < sizeof(exec->user) - 1 ? own.len : sizeof(exec->user) - 1;
    return own.len > 0 && tly_text_equal(own, user) ? TLY_DOCKER_EXEC_OWN : TLY_DOCKER_EXEC_OTHER;
}

void tly_docker_tally_exec(struct tly_docker_tally *tally, const struct tly_container *container,
                           const struct tly_engine_exec *exec)
{
    if (exec) {
        tally->execs[user_of(container, exec)][exec->tty][exec->privileged]++;
    } else {
        tally->unknown_execs++;
    }
}

bool tly_docker_is_health_check(const struct tly_container *container, struct tly_text command)
{
    /* The engine leaves a blank behind a command without arguments. */
    return container->health_command &&
           tly_text_equal(tly_text_trim(tly_text_of(container->health_command)),
                          tly_text_trim(command));
}

/* ---- samples ---- */

static void write_exec(struct tly_samples *samples, const struct tly_text values[4], uint64_t count)
{
    static const char *const names[] = {"source", "user", "tty", "privileged"};
    uint16_t dim = tly_samples_dim(samples, names, values, sizeof(names) / sizeof(names[0]));
    if (dim != TLY_DIM_NONE) {
        tly_samples_add(samples, TLY_F_container_exec_total, dim, (int64_t)count);
    }
}

static void write_execs(const struct tly_docker_tally *tally, struct tly_text own,
                        struct tly_samples *samples)
{
    static const struct tly_text truth[] = {{"false", 5}, {"true", 4}};
    const struct tly_text users[TLY_DOCKER_EXEC_USERS] = {
        [TLY_DOCKER_EXEC_ROOT] = TLY_TEXT("root"),
        [TLY_DOCKER_EXEC_OWN] = own,
        [TLY_DOCKER_EXEC_OTHER] = TLY_TEXT("other"),
    };
    const struct tly_text api = TLY_TEXT("api");
    const struct tly_text unknown = TLY_TEXT("unknown");
    for (size_t user = 0; user < TLY_DOCKER_EXEC_USERS; user++) {
        for (size_t kind = 0; users[user].len > 0 && kind < 4; kind++) {
            const struct tly_text values[] = {api, users[user], truth[kind / 2], truth[kind % 2]};
            write_exec(samples, values, tally->execs[user][kind / 2][kind % 2]);
        }
    }
    write_exec(samples, (const struct tly_text[]){api, unknown, unknown, unknown},
               tally->unknown_execs);
}

/* The longest text of a user that becomes a label: as much as an exec tells of its own. */
#define USER_MAX (sizeof(((struct tly_engine_exec *)0)->user) - 1)

void tly_docker_tally_write(const struct tly_docker_tally *tally,
                            const struct tly_container *container, struct tly_samples *samples)
{
    struct tly_text own = tly_text_of(container->user);
    own.len = own.len < USER_MAX ? own.len : USER_MAX;
    bool root = is_root(own);
    for (size_t place = 0; place < TLY_DOCKER_EXIT_CODES; place++) {
        const char *code = place < TLY_DOCKER_EXIT_CODES - 1 ? exit_codes[place].label : "other";
        uint16_t dim = tly_samples_dim1(samples, "exit_code", tly_text_of(code));
        tly_samples_add(samples, TLY_F_container_exits_total, dim, (int64_t)tally->exits[place]);
    }
    write_execs(tally, root ? (struct tly_text){NULL, 0} : own, samples);
    if (container->health_command) {
        const struct tly_text no = TLY_TEXT("false");
        write_exec(samples,
                   (const struct tly_text[]){TLY_TEXT("healthcheck"), root ? TLY_TEXT("root") : own,
                                             no, no},
                   tally->health_execs);
    }
}
