/*
 * Random histories: containers write, rotate, compress, truncate and vanish, the agent is killed at
 * any moment, receivers rest, stall and lose connections, the agent's disk fills up, clocks step
 * back; as long as the engine itself destroys nothing that nobody could have read. At the end every
 * line is there, unaltered, in the order of its stream, and none that was acknowledged has come
 * again. The seed of a failure is printed: TLY_SEED replays it, and TLY_RUNS makes a soak of it.
 */
#include "tests/unit/logs/house.h"

#include "agent/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNS_DEFAULT 30
#define STEPS        80
#define CONTAINERS   3
#define STREAMS      2
#define PIECE        16384 /* bytes, as Docker cuts them */
#define LINE_MAX     (3 * PIECE + 1)

static const char *const stream_names[STREAMS] = {"stdout", "stderr"};

struct stream {
    unsigned lines; /* finished */
    size_t written; /* of the one under way */
    bool under_way;
};

struct box {
    struct docker docker;
    struct stream streams[STREAMS];
    enum driver driver;
    unsigned max_file;      /* 0: copied and truncated instead of rotated */
    unsigned since_drained; /* rotations since all was acknowledged */
    bool created, removed;
    bool compressed;
    bool untold; /* A kill may have left the position in a file that was delivered, because the one
                  * behind it was empty when last seen, or the end of a compressed one could not be
                  * told without room. Once that file is gone, nobody knows that nothing else is. */
};

struct model {
    struct house *house;
    uint64_t random;
    struct box boxes[CONTAINERS];
    size_t acked[HOUSE_SINKS_MAX]; /* of what each sink took */
    bool loses;                    /* receivers lose their connections */
    bool steps_back;               /* the clock that gives the lines their time */
    bool small_disk;               /* the state directory is on a disk that can fill up; records
                                    * have ids then */
    char *text;                    /* LINE_MAX bytes */
};

/* xorshift64*: the same everywhere, for the sake of replaying. */
static unsigned draw(struct model *model, unsigned below)
{
    model->random ^= model->random >> 12;
    model->random ^= model->random << 25;
    model->random ^= model->random >> 27;
    return (unsigned)((model->random * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

/* What the line says; most are short, some come in pieces, one in exactly one piece. */
static struct tly_text line_text(struct model *model, unsigned stream, unsigned n)
{
    static const size_t lens[] = {40, 20, 0, PIECE, 120, 60, 2 * PIECE + 77, 30, PIECE - 1, 33};
    size_t len = lens[(n * 7 + stream) % ROWS(lens)];
    memset(model->text, 'a' + (int)(n % 26), len);
    int head = snprintf(model->text, 16, "%u:", n);
    model->text[head] = (char)('a' + (int)(n % 26));
    return (struct tly_text){model->text, len > (size_t)head ? len : (size_t)head};
}

/* ---- what happens ---- */

static void write_entry(struct model *model, struct box *box, unsigned which)
{
    struct stream *stream = &box->streams[which];
    struct tly_text text = line_text(model, which, stream->lines);
    size_t rest = text.len - stream->written;
    size_t len = rest < PIECE ? rest : PIECE;
    bool last = rest < PIECE;
    docker_entry(&box->docker, stream_names[which],
                 (struct tly_text){text.at + stream->written, len}, last);
    box->docker.now_ns += 1000;
    stream->written = last ? 0 : stream->written + len;
    stream->under_way = !last;
    stream->lines += last;
}

static void write_some(struct model *model, struct box *box)
{
    if (model->steps_back && (model->random & 15) == 0) {
        box->docker.now_ns -= 3600 * TLY_NS_PER_S;
    }
    for (unsigned left = 1 + draw(model, 40); left > 0; left--) {
        write_entry(model, box, draw(model, STREAMS));
    }
}

static void finish_lines(struct model *model, struct box *box)
{
    while (box->streams[0].under_way || box->streams[1].under_way) {
        write_some(model, box);
    }
}

static bool is_up(const struct model *model)
{
    return model->house->collector != NULL;
}

static size_t expected_records(const struct model *model)
{
    size_t sum = 0;
    for (unsigned i = 0; i < CONTAINERS; i++) {
        sum += model->boxes[i].streams[0].lines + model->boxes[i].streams[1].lines;
    }
    return sum;
}

static void change_sink(struct model *model, size_t at, enum sink_mode mode)
{
    struct sink *sink = &model->house->sinks[at];
    sink_set(sink, SINK_RESTS);
    sink_release(sink);
    model->acked[at] = sink->count;
    sink_set(sink, mode);
}

/* ---- a disk that fills up ---- */

#define FILLER "filler"

/* The state directory on a file system of its own, which only this process sees. */
static bool mount_small_disk(struct house *house)
{
    char path[TEMP_DIR_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/state", house->dir);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") < 0) {
        return false;
    }
    close(house->state_fd);
    house->state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(house->state_fd >= 0);
    return true;
}

static void unmount_small_disk(const struct house *house)
{
    char path[TEMP_DIR_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/state", house->dir);
    assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void free_disk(const struct house *house)
{
    assert_true(unlinkat(house->state_fd, FILLER, 0) == 0 || errno == ENOENT);
}

static void fill_disk(const struct house *house)
{
    static const char block[1024];
    int fd = openat(house->state_fd, FILLER, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0 || errno == ENOSPC);
    while (fd >= 0 && write(fd, block, sizeof(block)) > 0) {
    }
    assert_true(fd < 0 || errno == ENOSPC);
    if (fd >= 0) {
        close(fd);
    }
}

/* ---- what happens to all ---- */

static bool is_empty(const struct box *box)
{
    struct stat st;
    assert_int_equal(fstat(box->docker.fd, &st), 0);
    return st.st_size == 0;
}

static void kill_agent(struct model *model)
{
    for (unsigned i = 0; i < CONTAINERS; i++) {
        struct box *box = &model->boxes[i];
        bool behind = box->created && !house_entered(model->house, box->docker.id);
        box->untold = box->untold || box->compressed || behind;
    }
    house_kill(model->house);
}

/* Everything that was written is acknowledged, by all; also the lines under way, which would be in
 * memory alone if their first piece's file went. */
static void drain(struct model *model)
{
    struct house *house = model->house;
    for (unsigned i = 0; i < CONTAINERS; i++) {
        finish_lines(model, &model->boxes[i]);
    }
    if (!is_up(model)) {
        house_start(house);
    }
    for (size_t i = 0; i < house->sink_count; i++) {
        change_sink(model, i, SINK_ACKS);
        sink_await(house, &house->sinks[i], expected_records(model));
    }
    house_settle(house);
    for (size_t i = 0; i < house->sink_count; i++) {
        assert_int_equal(house->sinks[i].count, expected_records(model));
    }
    if (model->small_disk) { /* else what is acknowledged may be written down nowhere */
        free_disk(house);
        kill_agent(model);
        house_start(house);
    }
    for (unsigned i = 0; i < CONTAINERS; i++) {
        model->boxes[i].since_drained = 0;
    }
}

/* Whether all that is not acknowledged still stands on disk under some name. */
static bool all_on_disk(const struct model *model)
{
    for (unsigned i = 0; i < CONTAINERS; i++) {
        const struct box *box = &model->boxes[i];
        unsigned kept = box->max_file > 0 ? box->max_file - 1 : 1;
        if (box->since_drained > kept || (box->removed && box->since_drained > 0)) {
            return false;
        }
    }
    return true;
}

static void rotate(struct model *model, struct box *box)
{
    unsigned kept = box->max_file > 0 ? box->max_file - 1 : 1;
    if (is_empty(box)) {
        return; /* nobody rotates that */
    }
    /* The agent holds open what it has seen; what it has not, the rotation must leave on disk. A
     * truncation leaves only the copy. */
    if (box->since_drained >= kept && (!is_up(model) || box->max_file == 0)) {
        drain(model);
    }
    if (is_up(model)) {
        house_settle(model->house);
    }
    if (box->max_file > 0) {
        docker_rotate(&box->docker, box->max_file);
        if (is_up(model) && box->streams[0].lines % 2 == 0) {
            house_settle(model->house); /* the agent finds the new file empty */
        }
        write_entry(model, box, 0); /* the engine rotates only to write */
    } else {
        docker_copytruncate(&box->docker);
    }
    box->since_drained++;
    if (is_up(model)) {
        house_settle(model->house);
    }
}

static void compress(struct model *model, struct box *box)
{
    unsigned number = 1 + draw(model, 4);
    if (docker_compressible(&box->docker, number)) {
        docker_compress(&box->docker, number);
        box->compressed = true;
    }
}

/* A pod's container starts again; the next rotations know the old file as one of theirs. */
static void restart(struct box *box)
{
    if (box->max_file > 1 && !box->streams[0].under_way && !box->streams[1].under_way) {
        docker_restart(&box->docker);
        box->since_drained++;
    }
}

static void kill_or_start(struct model *model)
{
    struct house *house = model->house;
    if (!is_up(model)) {
        house_start(house);
        return;
    }
    if (!all_on_disk(model)) {
        drain(model);
    }
    for (size_t i = 0; i < house->sink_count; i++) {
        struct sink *sink = &house->sinks[i];
        if (sink->mode == SINK_HOLDS) {
            sink_cut(sink, model->acked[i]); /* the receiver never said that it has these */
        }
    }
    kill_agent(model);
}

static void remove_box(struct model *model, struct box *box)
{
    if (!is_up(model)) {
        house_start(model->house);
    }
    finish_lines(model, box);
    house_settle(model->house);
    docker_remove(&box->docker);
    box->removed = true;
    box->since_drained++;
    house_settle(model->house);
}

static void lose_connections(const struct model *model)
{
    for (size_t i = 0; i < model->house->sink_count; i++) {
        struct sink *sink = &model->house->sinks[i];
        if (sink->mode == SINK_HOLDS) {
            sink_lose(sink, model->acked[i]);
        }
    }
}

static void step(struct model *model)
{
    struct house *house = model->house;
    unsigned which = draw(model, CONTAINERS);
    struct box *box = &model->boxes[which];
    unsigned what = draw(model, 100);
    if (!box->created) {
        docker_create_as(house, &box->docker, which + 1, box->driver);
        box->created = true;
        write_some(model, box);
    } else if (what < 12) {
        kill_or_start(model);
    } else if (what < 30 && is_up(model)) {
        change_sink(model, draw(model, (unsigned)house->sink_count),
                    (enum sink_mode)draw(model, SINK_RESTS + 1));
    } else if (what < 40 && is_up(model)) {
        if (model->loses && what >= 36) {
            lose_connections(model);
        }
        if (model->small_disk && what >= 36) {
            (what % 2 == 0 ? fill_disk : free_disk)(house);
        }
        house_settle(house);
    } else if (what < 42) {
        drain(model);
    } else if (box->removed) {
        return;
    } else if (what < 60) {
        rotate(model, box);
    } else if (what < 68) {
        compress(model, box);
    } else if (what < 69) {
        remove_box(model, box);
    } else if (what < 72 && box->driver == DRIVER_POD) {
        restart(box);
    } else {
        write_some(model, box);
    }
}

/* ---- what came of it ---- */

static void verify_sink(struct model *model, const struct sink *sink)
{
    unsigned next[CONTAINERS][STREAMS] = {{0}};
    for (size_t i = 0; i < sink->count; i++) {
        const struct taken *taken = &sink->taken[i];
        unsigned which = (unsigned)strtoul(taken->id + 60, NULL, 16) - 1;
        unsigned stream = strcmp(taken->source, "stdout") == 0 ? 0 : 1;
        assert_true(which < CONTAINERS);
        struct tly_text expected = line_text(model, stream, next[which][stream]);
        struct tly_text log = {taken->log, taken->log_len};
        if (!tly_text_equal(log, expected)) {
            fail_msg("record %zu: container %u, %s: %zu bytes \"%.40s\" where line %u of %zu bytes "
                     "should be",
                     i, which + 1, taken->source, log.len, log.at, next[which][stream],
                     expected.len);
        }
        assert_null(taken->partial_id);
        next[which][stream]++;
    }
    for (unsigned i = 0; i < CONTAINERS; i++) {
        for (unsigned stream = 0; stream < STREAMS; stream++) {
            assert_int_equal(next[i][stream], model->boxes[i].streams[stream].lines);
        }
    }
}

/* One of the ways of a line, by the seed: the short one; that of shaped lines; and that of lines
 * each of which waits as a message until the next one begins. */
static void choose_way(struct house *house, uint64_t seed)
{
    static const char *const ways[] = {
        "from: beginning",
        "from: beginning, record_id: true, shape: [{traces: [java, python, go, node]}]",
        "from: beginning, shape: [{multiline_start: '^', multiline_wait: 10ms}]",
    };
    /* The last takes seconds, because messages wait for a tick. */
    size_t way = seed % 10 == 2 ? 2 : seed % 3 == 1 ? 1 : 0;
    (void)snprintf(house->options, sizeof(house->options), "%s", ways[way]);
}

/* Nothing was destroyed unread, so no gap may be told of, but see box.untold. */
static void check(const struct model *model)
{
    if (!is_up(model)) {
        return;
    }
    house_check_books(model->house);
    for (unsigned i = 0; i < CONTAINERS; i++) {
        const struct box *box = &model->boxes[i];
        if (box->created && !box->untold) {
            assert_int_equal(house_gaps(model->house, box->docker.id), 0);
        }
    }
}

static void run_model(struct house *house, uint64_t seed)
{
    static const unsigned max_files[] = {1, 2, 3, 5, 0};
    struct model model = {.house = house,
                          .random = seed * 0x9e3779b97f4a7c15ULL + 1,
                          .loses = seed % 2 == 1,
                          .steps_back = seed % 5 == 0,
                          .small_disk = seed % 12 == 4 && seed % 10 != 2 && geteuid() == 0};
    model.text = malloc(LINE_MAX + 16);
    assert_non_null(model.text);
    choose_way(house, seed);
    house->sink_count = 1 + draw(&model, HOUSE_SINKS_MAX);
    house->limits = (struct tly_destination_limits){
        .chunk_age_ms = 2, .chunk_bytes_max = 4096U << draw(&model, 5), .bytes_max = 160 << 10};
    for (unsigned i = 0; i < CONTAINERS; i++) {
        model.boxes[i].max_file = max_files[draw(&model, ROWS(max_files))];
        model.boxes[i].driver = (enum driver)draw(&model, DRIVERS);
    }
    model.small_disk = model.small_disk && mount_small_disk(house);
    for (size_t i = 0; i < house->sink_count; i++) {
        /* What is acknowledged and can't be written down comes again after a kill. */
        house->sinks[i].drops_repeats = model.small_disk;
    }
    house_start(house);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&model);
        check(&model);
    }
    if (model.small_disk) {
        free_disk(house);
    }
    drain(&model);
    for (size_t i = 0; i < house->sink_count; i++) {
        verify_sink(&model, &house->sinks[i]);
    }
    for (unsigned i = 0; i < CONTAINERS; i++) {
        if (model.boxes[i].created && !model.boxes[i].removed) {
            docker_remove(&model.boxes[i].docker);
        }
    }
    if (model.small_disk) {
        house_kill(house);
        unmount_small_disk(house);
    }
    free(model.text);
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
    uint64_t number;
    const char *text = getenv(name);
    return text && tly_text_u64(tly_text_of(text), &number) == 0 ? number : fallback;
}

static void run_seed(uint64_t seed)
{
    void *house;
    print_message("seed %llu\n", (unsigned long long)seed);
    assert_int_equal(house_set_up(&house), 0);
    run_model(house, seed);
    assert_int_equal(house_tear_down(&house), 0);
}

static void no_history_loses_a_line(void **state)
{
    (void)state;
    uint64_t first = number_from("TLY_SEED", 1);
    uint64_t runs = number_from("TLY_RUNS", getenv("TLY_SEED") ? 1 : RUNS_DEFAULT);
    for (uint64_t seed = first; seed < first + runs; seed++) {
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_history_loses_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
