/*
 * The exposition writer: exact texts, series that would come twice, bounds, and rules that the
 * whole table of families must keep so that no scrape can break. What Prometheus's own parsers say
 * of the output is asked in check_exposition.py.
 */
#include "agent/codec/exposition.h"
#include "tests/unit/unit.h"

#include <errno.h>

#define ROW_A "id=\"/a\",name=\"a\""
#define ROW_B "id=\"/b\",name=\"b\""

struct fixture {
    struct tly_samples samples;
    struct tly_exposition exposition;
    struct tly_buf buf;
    struct tly_sample_set *sets[700];
    size_t set_count;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    tly_samples_init(&fixture.samples);
    tly_exposition_init(&fixture.exposition);
    tly_buf_init(&fixture.buf, 1 << 20);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < fixture->set_count; i++) {
        tly_sample_set_unref(fixture->sets[i]);
    }
    tly_samples_done(&fixture->samples);
    tly_exposition_done(&fixture->exposition);
    tly_buf_done(&fixture->buf);
    return 0;
}

/* What the builder holds becomes a set. */
static struct tly_sample_set *take(struct fixture *fixture)
{
    struct tly_sample_set *set = tly_samples_take(&fixture->samples);
    assert_non_null(set);
    fixture->sets[fixture->set_count++] = set;
    return set;
}

static void add(struct fixture *fixture, const char *labels, struct tly_sample_set *set)
{
    assert_int_equal(tly_exposition_add(&fixture->exposition, tly_text_of(labels), &set, 1), 0);
}

static struct tly_exposition_stats
assert_written(struct fixture *fixture, enum tly_exposition_format format, const char *expected)
{
    struct tly_exposition_stats stats;
    tly_buf_clear(&fixture->buf);
    assert_int_equal(tly_exposition_write(&fixture->exposition, format, &fixture->buf, &stats), 0);
    assert_int_equal(tly_buf_append(&fixture->buf, "", 1), 0);
    assert_string_equal(fixture->buf.at, expected);
    return stats;
}

/* Two containers and the agent, with families out of order and one with a dimension. */
static void fill_mixed(struct fixture *fixture)
{
    struct tly_samples *samples = &fixture->samples;
    tly_samples_add(samples, TLY_F_container_threads, TLY_DIM_NONE, 5);
    uint16_t cpu0 = tly_samples_dim1(samples, "cpu", TLY_TEXT("cpu00"));
    uint16_t odd = tly_samples_dim1(samples, "cpu", TLY_TEXT("a\"b\\c\nd\xff"));
    tly_samples_add(samples, TLY_F_container_cpu_usage_seconds_total, cpu0, 1500000);
    tly_samples_add(samples, TLY_F_container_cpu_usage_seconds_total, odd, -1);
    add(fixture, ROW_A, take(fixture));
    tly_samples_add(samples, TLY_F_container_threads, TLY_DIM_NONE, 6);
    tly_samples_add(samples, TLY_F_container_cpu_usage_seconds_total, cpu0, 0);
    add(fixture, ROW_B, take(fixture));
    uint16_t collector = tly_samples_dim1(samples, "collector", TLY_TEXT("cgroup"));
    tly_samples_add(samples, TLY_F_tallyman_collector_errors_total, collector, INT64_MAX);
    tly_samples_add(samples, TLY_F_tallyman_collector_success, TLY_DIM_NONE, 1);
    add(fixture, "", take(fixture));
}

static const char *help(enum tly_family_id id)
{
    return tly_families[id].help;
}

static void test_text(void **state)
{
    struct fixture *fixture = *state;
    fill_mixed(fixture);
    char expected[4096];
    (void)snprintf(expected, sizeof(expected),
                   "# HELP container_cpu_usage_seconds_total %s\n"
                   "# TYPE container_cpu_usage_seconds_total counter\n"
                   "container_cpu_usage_seconds_total{" ROW_A ",cpu=\"cpu00\"} 1.5\n"
                   "container_cpu_usage_seconds_total{" ROW_A
                   ",cpu=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} -0.000001\n"
                   "container_cpu_usage_seconds_total{" ROW_B "} 0\n"
                   "# HELP container_threads %s\n"
                   "# TYPE container_threads gauge\n"
                   "container_threads{" ROW_A "} 5\n"
                   "container_threads{" ROW_B "} 6\n"
                   "# HELP tallyman_collector_success %s\n"
                   "# TYPE tallyman_collector_success gauge\n"
                   "tallyman_collector_success 1\n"
                   "# HELP tallyman_collector_errors_total %s\n"
                   "# TYPE tallyman_collector_errors_total counter\n"
                   "tallyman_collector_errors_total{collector=\"cgroup\"} 9223372036854775807\n",
                   help(TLY_F_container_cpu_usage_seconds_total), help(TLY_F_container_threads),
                   help(TLY_F_tallyman_collector_success),
                   help(TLY_F_tallyman_collector_errors_total));
    struct tly_exposition_stats stats = assert_written(fixture, TLY_EXPOSITION_TEXT_0_0_4,
                                                       expected);
    assert_int_equal(stats.samples, 7);
    assert_int_equal(stats.families, 4);
    assert_int_equal(stats.duplicates, 0);
    /* the same once more, and under the other name of the format */
    (void)assert_written(fixture, TLY_EXPOSITION_TEXT_0_0_4, expected);
    (void)assert_written(fixture, TLY_EXPOSITION_TEXT_1_0_0, expected);
}

static void test_openmetrics(void **state)
{
    struct fixture *fixture = *state;
    tly_samples_add(&fixture->samples, TLY_F_container_cpu_usage_seconds_total, TLY_DIM_NONE, 42);
    tly_samples_add(&fixture->samples, TLY_F_container_threads, TLY_DIM_NONE, 7);
    add(fixture, ROW_A, take(fixture));
    char expected[2048];
    (void)snprintf(expected, sizeof(expected),
                   "# HELP container_cpu_usage_seconds %s\n"
                   "# TYPE container_cpu_usage_seconds counter\n"
                   "container_cpu_usage_seconds_total{" ROW_A "} 0.000042\n"
                   "# HELP container_threads %s\n"
                   "# TYPE container_threads gauge\n"
                   "container_threads{" ROW_A "} 7\n"
                   "# EOF\n",
                   help(TLY_F_container_cpu_usage_seconds_total), help(TLY_F_container_threads));
    (void)assert_written(fixture, TLY_EXPOSITION_OPENMETRICS_1_0_0, expected);
    (void)assert_written(fixture, TLY_EXPOSITION_OPENMETRICS_0_0_1, expected);
}

static void test_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct tly_exposition_stats stats = assert_written(fixture, TLY_EXPOSITION_TEXT_0_0_4, "");
    assert_int_equal(stats.samples, 0);
    (void)assert_written(fixture, TLY_EXPOSITION_OPENMETRICS_1_0_0, "# EOF\n");
    /* rows without sets, and with an empty one */
    struct tly_sample_set *sets[] = {NULL, take(fixture), NULL};
    assert_int_equal(tly_exposition_add(&fixture->exposition, TLY_TEXT(ROW_A), sets, 3), 0);
    (void)assert_written(fixture, TLY_EXPOSITION_TEXT_0_0_4, "");
}

/* The lines of the text that are samples, without the metadata. */
static void assert_samples(struct fixture *fixture, const char *expected)
{
    char got[4096];
    size_t len = 0;
    for (struct tly_text rest = tly_buf_text(&fixture->buf); rest.at != NULL;) {
        struct tly_text line = tly_text_cut(&rest, '\n');
        if (line.len > 0 && line.at[0] != '#') {
            assert_true(len + line.len + 2 < sizeof(got));
            memcpy(got + len, line.at, line.len);
            len += line.len;
            got[len++] = '\n';
        }
    }
    got[len] = '\0';
    assert_string_equal(got, expected);
}

static size_t write_duplicates(struct fixture *fixture)
{
    struct tly_exposition_stats stats;
    tly_buf_clear(&fixture->buf);
    assert_int_equal(tly_exposition_write(&fixture->exposition, TLY_EXPOSITION_TEXT_0_0_4,
                                          &fixture->buf, &stats),
                     0);
    return stats.duplicates;
}

static void test_duplicates_in_a_set(void **state)
{
    struct fixture *fixture = *state;
    struct tly_samples *samples = &fixture->samples;
    uint16_t x = tly_samples_dim1(samples, "device", TLY_TEXT("x"));
    uint16_t y = tly_samples_dim1(samples, "device", TLY_TEXT("y"));
    uint16_t z = tly_samples_dim1(samples, "device", TLY_TEXT("z"));
    tly_samples_add(samples, TLY_F_container_fs_reads_total, z, 1); /* not in order, yet unique */
    tly_samples_add(samples, TLY_F_container_fs_reads_total, x, 2);
    tly_samples_add(samples, TLY_F_container_fs_reads_total, y, 3);
    tly_samples_add(samples, TLY_F_container_fs_writes_total, x, 4);
    tly_samples_add(samples, TLY_F_container_fs_writes_total, x, 5);
    tly_samples_add(samples, TLY_F_container_fs_writes_total, y, 6);
    tly_samples_add(samples, TLY_F_container_fs_writes_total, x, 7);
    tly_samples_add(samples, TLY_F_container_threads, TLY_DIM_NONE, 8);
    tly_samples_add(samples, TLY_F_container_threads, TLY_DIM_NONE, 9);
    add(fixture, "", take(fixture));
    assert_int_equal(write_duplicates(fixture), 3);
    assert_samples(fixture, "container_fs_reads_total{device=\"z\"} 1\n"
                            "container_fs_reads_total{device=\"x\"} 2\n"
                            "container_fs_reads_total{device=\"y\"} 3\n"
                            "container_fs_writes_total{device=\"x\"} 4\n"
                            "container_fs_writes_total{device=\"y\"} 6\n"
                            "container_threads 8\n");
}

static void test_duplicates_between_sets(void **state)
{
    struct fixture *fixture = *state;
    struct tly_samples *samples = &fixture->samples;
    uint16_t x = tly_samples_dim1(samples, "device", TLY_TEXT("x"));
    tly_samples_add(samples, TLY_F_container_fs_reads_total, x, 1);
    tly_samples_add(samples, TLY_F_container_threads, TLY_DIM_NONE, 2);
    struct tly_sample_set *first = take(fixture);
    uint16_t y = tly_samples_dim1(samples, "device", TLY_TEXT("y"));
    x = tly_samples_dim1(samples, "device", TLY_TEXT("x"));
    tly_samples_add(samples, TLY_F_container_fs_reads_total, y, 3);
    tly_samples_add(samples, TLY_F_container_fs_reads_total, x, 4);
    struct tly_sample_set *second = take(fixture);
    struct tly_sample_set *sets[] = {first, NULL, second};
    assert_int_equal(tly_exposition_add(&fixture->exposition, TLY_TEXT(ROW_A), sets, 3), 0);
    assert_int_equal(write_duplicates(fixture), 1);
    assert_samples(fixture, "container_fs_reads_total{" ROW_A ",device=\"x\"} 1\n"
                            "container_fs_reads_total{" ROW_A ",device=\"y\"} 3\n"
                            "container_threads{" ROW_A "} 2\n");
}

static void test_duplicates_between_rows(void **state)
{
    struct fixture *fixture = *state;
    struct tly_samples *samples = &fixture->samples;
    for (int64_t i = 1; i <= 4; i++) {
        tly_samples_add(samples, TLY_F_container_threads, TLY_DIM_NONE, i);
        if (i == 3) {
            tly_samples_add(samples, TLY_F_container_fs_reads_total, TLY_DIM_NONE, 30);
        }
        add(fixture, i % 2 == 1 ? ROW_A : ROW_B, take(fixture));
    }
    assert_int_equal(write_duplicates(fixture), 2);
    assert_samples(fixture, "container_fs_reads_total{" ROW_A "} 30\n"
                            "container_threads{" ROW_A "} 1\n"
                            "container_threads{" ROW_B "} 2\n");
    assert_int_equal(write_duplicates(fixture), 2); /* rows are in another order by now */
}

/* One label value is the beginning of another, and an empty text of labels beside a dimension that
 * reads like labels: not the same series. */
static void test_near_duplicates(void **state)
{
    struct fixture *fixture = *state;
    struct tly_samples *samples = &fixture->samples;
    uint16_t a = tly_samples_dim1(samples, "device", TLY_TEXT("a"));
    uint16_t ab = tly_samples_dim1(samples, "device", TLY_TEXT("ab"));
    tly_samples_add(samples, TLY_F_container_fs_reads_total, ab, 1);
    tly_samples_add(samples, TLY_F_container_fs_reads_total, a, 2);
    tly_samples_add(samples, TLY_F_container_fs_reads_total, TLY_DIM_NONE, 3);
    add(fixture, "", take(fixture));
    assert_int_equal(write_duplicates(fixture), 0);
    assert_samples(fixture, "container_fs_reads_total{device=\"ab\"} 1\n"
                            "container_fs_reads_total{device=\"a\"} 2\n"
                            "container_fs_reads_total 3\n");
}

static void test_hidden(void **state)
{
    struct fixture *fixture = *state;
    fill_mixed(fixture);
    for (size_t id = 0; id < TLY_FAMILY_COUNT; id++) {
        fixture->exposition.hidden[id] = id != TLY_F_container_threads;
    }
    assert_int_equal(write_duplicates(fixture), 0);
    assert_samples(fixture, "container_threads{" ROW_A "} 5\n"
                            "container_threads{" ROW_B "} 6\n");
}

static void test_limit(void **state)
{
    struct fixture *fixture = *state;
    fill_mixed(fixture);
    struct tly_buf small;
    tly_buf_init(&small, 500);
    assert_int_equal(tly_buf_append(&small, "before", 6), 0);
    assert_int_equal(
        tly_exposition_write(&fixture->exposition, TLY_EXPOSITION_TEXT_0_0_4, &small, NULL),
        TLY_E_LIMIT);
    assert_int_equal(small.len, 6);
    tly_buf_done(&small);
}

/* Collects what a stream hands over; each block must be whole lines. */
struct collected {
    struct tly_buf buf;
    size_t blocks;
    size_t blocks_max; /* the sink fails after so many */
};

static int collect(void *arg, struct tly_text block)
{
    struct collected *collected = arg;
    assert_true(block.len > 0 && block.at[block.len - 1] == '\n');
    collected->blocks++;
    if (collected->blocks > collected->blocks_max) {
        return -EPIPE;
    }
    return tly_buf_append_text(&collected->buf, block);
}

/* The text of the rows by parts, with the number of parts; the hash of each goes to `ret_sums`. */
#define PARTS_MAX 64
static size_t by_parts(struct fixture *fixture, struct tly_buf *text, uint64_t keys[PARTS_MAX],
                       unsigned sums[PARTS_MAX])
{
    struct tly_exposition_blocks *blocks = NULL;
    struct tly_text part;
    size_t count = 0;
    assert_int_equal(
        tly_exposition_blocks_new(&fixture->exposition, TLY_EXPOSITION_OPENMETRICS_1_0_0, &blocks),
        0);
    while (tly_exposition_blocks_part(blocks, &part, &keys[count]) == 0 && part.len > 0) {
        assert_true(count == 0 || keys[count] > keys[count - 1]);
        assert_int_equal(part.at[part.len - 1], '\n');
        sums[count] = 0;
        for (size_t i = 0; i < part.len; i++) {
            sums[count] = sums[count] * 31 + (unsigned char)part.at[i];
        }
        assert_int_equal(tly_buf_append_text(text, part), 0);
        count++;
        assert_true(count < PARTS_MAX);
    }
    assert_int_equal(tly_exposition_blocks_stats(blocks)->bytes, text->len);
    tly_exposition_blocks_free(blocks);
    return count;
}

/* Parts are the whole text, and a change of one sample is a change of one part. */
static void test_parts(void **state)
{
    enum { MANY = 300, CHANGED = 150 };
    struct fixture *fixture = *state;
    static char labels[MANY][32];
    struct tly_buf texts[2], whole;
    uint64_t keys[2][PARTS_MAX];
    unsigned sums[2][PARTS_MAX];
    size_t counts[2];
    tly_buf_init(&whole, SIZE_MAX);
    for (int turn = 0; turn < 2; turn++) {
        tly_exposition_done(&fixture->exposition);
        for (int i = 0; i < MANY; i++) {
            /* The last one has the first one's labels: rows with equal labels are moved together.
             */
            (void)snprintf(labels[i], sizeof(labels[i]), "id=\"%d\"", i < MANY - 1 ? i : 0);
            if (i % 2 == 0) {
                tly_samples_add(&fixture->samples, TLY_F_container_last_seen, TLY_DIM_NONE, i);
            }
            tly_samples_add(&fixture->samples, TLY_F_container_threads, TLY_DIM_NONE,
                            turn == 1 && i == CHANGED ? 12345 : i);
            add(fixture, labels[i], take(fixture));
        }
        tly_buf_init(&texts[turn], SIZE_MAX);
        counts[turn] = by_parts(fixture, &texts[turn], keys[turn], sums[turn]);
    }
    assert_int_equal(counts[0], 2 * 3 + 1); /* the end of OpenMetrics is one, too */
    assert_int_equal(counts[1], counts[0]);
    assert_memory_equal(keys[0], keys[1], counts[0] * sizeof(keys[0][0]));
    size_t changed = 0;
    for (size_t i = 0; i < counts[0]; i++) {
        changed += sums[0][i] != sums[1][i];
    }
    assert_int_equal(changed, 1);
    assert_int_equal(
        tly_exposition_write(&fixture->exposition, TLY_EXPOSITION_OPENMETRICS_1_0_0, &whole, NULL),
        0);
    assert_int_equal(whole.len, texts[1].len);
    assert_memory_equal(whole.at, texts[1].at, whole.len);
    tly_buf_done(&whole);
    tly_buf_done(&texts[0]);
    tly_buf_done(&texts[1]);
}

/* A text of many blocks is the same as in one piece, also with a line longer than a block. */
static void test_stream(void **state)
{
    struct fixture *fixture = *state;
    struct tly_buf whole;
    tly_buf_init(&whole, SIZE_MAX);
    struct tly_buf long_labels;
    tly_buf_init(&long_labels, SIZE_MAX);
    assert_int_equal(tly_buf_printf(&long_labels, "id=\"%0300000d\"", 0), 0);
    tly_samples_add(&fixture->samples, TLY_F_container_threads, TLY_DIM_NONE, 1);
    struct tly_sample_set *set = take(fixture);
    assert_int_equal(tly_exposition_add(&fixture->exposition, tly_buf_text(&long_labels), &set, 1),
                     0);
    for (int i = 0; i < 6; i++) {
        for (size_t dim = 0; dim < 2000; dim++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "cpu%zu", dim);
            tly_samples_add(&fixture->samples, TLY_F_container_cpu_usage_seconds_total,
                            tly_samples_dim1(&fixture->samples, "cpu", tly_text_of(name)),
                            (int64_t)dim);
        }
        static const char *const labels[] = {"id=\"0\"", "id=\"1\"", "id=\"2\"",
                                             "id=\"3\"", "id=\"4\"", "id=\"5\""};
        add(fixture, labels[i], take(fixture));
    }
    struct tly_exposition_stats stats;
    assert_int_equal(tly_exposition_write(&fixture->exposition, TLY_EXPOSITION_OPENMETRICS_1_0_0,
                                          &whole, &stats),
                     0);
    assert_int_equal(stats.bytes, whole.len);
    assert_int_equal(stats.samples, 12001);

    struct collected collected = {.blocks_max = SIZE_MAX};
    tly_buf_init(&collected.buf, SIZE_MAX);
    assert_int_equal(tly_exposition_stream(&fixture->exposition, TLY_EXPOSITION_OPENMETRICS_1_0_0,
                                           collect, &collected, &stats),
                     0);
    assert_true(collected.blocks > 3);
    assert_int_equal(stats.bytes, whole.len);
    assert_int_equal(collected.buf.len, whole.len);
    assert_memory_equal(collected.buf.at, whole.at, whole.len);

    collected.blocks = 0;
    collected.blocks_max = 2;
    assert_int_equal(tly_exposition_stream(&fixture->exposition, TLY_EXPOSITION_TEXT_0_0_4, collect,
                                           &collected, NULL),
                     -EPIPE);
    assert_int_equal(collected.blocks, 3);
    tly_buf_done(&collected.buf);
    tly_buf_done(&whole);
    tly_buf_done(&long_labels);
}

static bool is_name(struct tly_text name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return name.len > 0 && (name.len < 2 || memcmp(name.at, "__", 2) != 0);
}

/* A label name that is both a base label and a dimension's would cost the whole scrape. */
static void test_table(void **state)
{
    (void)state;
    for (size_t id = 0; id < TLY_FAMILY_COUNT; id++) {
        const struct tly_family *family = &tly_families[id];
        assert_true(is_name(tly_text_of(family->name)));
        assert_true(strlen(family->help) > 0);
        assert_true(family->exponent <= 0 && family->exponent >= -9);
        if (family->labels[0] == '\0') {
            continue;
        }
        for (struct tly_text rest = tly_text_of(family->labels); rest.at != NULL;) {
            struct tly_text label = tly_text_cut(&rest, ',');
            if (!is_name(label) || (family->scope == TLY_PER_CONTAINER &&
                                    (tly_text_equal(label, TLY_TEXT("id")) ||
                                     tly_text_equal(label, TLY_TEXT("name")) ||
                                     tly_text_equal(label, TLY_TEXT("image")) ||
                                     tly_text_starts(label, TLY_TEXT("container_label_"))))) {
                fail_msg("%s: label %.*s", family->name, (int)label.len, label.at);
            }
        }
    }
}

/* In OpenMetrics `foo_total` is announced as `foo`: then no other family may be called so. */
static void test_table_openmetrics(void **state)
{
    (void)state;
    for (size_t id = 0; id < TLY_FAMILY_COUNT; id++) {
        struct tly_text name = tly_text_of(tly_families[id].name);
        if (tly_families[id].type != TLY_COUNTER || !tly_text_ends(name, TLY_TEXT("_total"))) {
            continue;
        }
        name.len -= strlen("_total");
        for (size_t other = 0; other < TLY_FAMILY_COUNT; other++) {
            if (tly_text_equal(name, tly_text_of(tly_families[other].name))) {
                fail_msg("%s beside %s", tly_families[id].name, tly_families[other].name);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_openmetrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicates_in_a_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicates_between_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicates_between_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_duplicates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hidden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_openmetrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
