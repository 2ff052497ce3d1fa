/*
 * Every check on small worlds (rows.def): each has a row that fails, one that passes, and one that
 * cannot be decided or makes no sense. The mistakes of other tools stand among them.
 */
#include "collectors/posture/check.h"
#include "collectors/posture/facts.h"
#include "tests/unit/unit.h"

#include "agent/base/clock.h"
#include "agent/base/file.h"

#include <string.h>

enum { ANY, LOW, MEDIUM, HIGH, CRITICAL };

struct world {
    const char *container, *image, *history, *execs, *info, *version, *bridge, *swarm, *daemon;
    const char *reference, *now;
    const char *registry; /* the only one that is allowed */
    int severity;         /* that the verdict has to have */
    struct tly_process_facts process;
    struct tly_rootfs_facts rootfs;
    struct tly_host_facts host;
    struct tly_crowd crowd;
    struct tly_scan_facts scan;
    struct tly_posture_settings settings;
};

struct row {
    enum tly_posture_id check;
    enum tly_status status;
    const char *says;
    struct world world;
};

static const struct row rows[] = {
#define TLY_ROW(check, status, says, ...)                                                          \
    {TLY_POSTURE_##check, TLY_STATUS_##status, says, {__VA_ARGS__}},
#include "tests/unit/posture/rows.def"
#undef TLY_ROW
};

/* JSON with single quotes for double ones; NULL stays. */
static json_t *load(const char *text)
{
    if (!text) {
        return NULL;
    }
    TLY_AUTO_FREE char *copy = strdup(text);
    json_t *root = NULL;
    struct tly_error err = {0};
    assert_non_null(copy);
    for (char *at = copy; *at; at++) {
        if (*at == '\'') {
            *at = '"';
        }
    }
    if (tly_json_parse_any(tly_text_of(copy), &root, &err) < 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return root;
}

static void run_row(const struct row *row, struct tly_secret_shapes *shapes)
{
    char data[] = "/data";
    char *writable[] = {data};
    const struct world *world = &row->world;
    char *registry[] = {world->registry ? strdup(world->registry) : NULL};
    struct tly_posture_settings settings = world->settings;
    struct tly_host_facts host = world->host;
    json_t *trees[] = {load(world->container), load(world->image), load(world->history),
                       load(world->execs),     load(world->info),  load(world->version),
                       load(world->bridge),    load(world->swarm), load(world->daemon)};
    settings.writable = (struct tly_strings){writable, 1};
    settings.registries = (struct tly_strings){registry, world->registry ? 1 : 0};
    settings.image_age_max_ms = INT64_C(180) * 86400 * 1000;
    host.settings = trees[8];
    struct tly_posture_facts facts = {
        .container = trees[0],
        .image = trees[1],
        .history = trees[2],
        .execs = trees[3],
        .info = trees[4],
        .version = trees[5],
        .bridge = trees[6],
        .swarm = trees[7],
        .image_reference = tly_text_of(world->reference ? world->reference : ""),
        .image_now = tly_text_of(world->now ? world->now : ""),
        .process = &world->process,
        .rootfs = &world->rootfs,
        .host = world->host.local ? &host : NULL,
        .crowd = &world->crowd,
        .scan = &world->scan,
        .settings = &settings,
        .secrets = shapes,
    };
    assert_int_equal(tly_time_parse(TLY_TEXT("2026-07-01T00:00:00Z"), &facts.now_ns), 0);
    struct tly_verdict verdict;
    tly_posture_judge(row->check, &facts, &verdict);
    const char *id = tly_posture_checks[row->check].id;
    if (verdict.status != row->status || !strstr(verdict.message, row->says)) {
        fail_msg("%s (row %td): %s, \"%s\" instead of %s, \"%s\"", id, row - rows,
                 tly_status_names[verdict.status], verdict.message, tly_status_names[row->status],
                 row->says);
    }
    if (world->severity != ANY && verdict.severity != (enum tly_severity)world->severity) {
        fail_msg("%s (row %td): severity %s", id, row - rows, tly_severity_names[verdict.severity]);
    }
    for (size_t i = 0; i < ROWS(trees); i++) {
        tly_json_free(trees[i]);
    }
    free(registry[0]);
}

static void every_check_judges(void **state)
{
    struct tly_secret_shapes *shapes = NULL;
    (void)state;
    assert_int_equal(tly_secret_shapes_new(&shapes, NULL), 0);
    for (size_t i = 0; i < ROWS(rows); i++) {
        run_row(&rows[i], shapes);
    }
    tly_secret_shapes_free(shapes);
}

static void every_check_has_its_rows(void **state)
{
    (void)state;
    for (size_t id = 0; id < TLY_POSTURE_COUNT; id++) {
        size_t count[TLY_STATUS_COUNT] = {0};
        for (size_t i = 0; i < ROWS(rows); i++) {
            count[rows[i].status] += rows[i].check == id;
        }
        if (count[TLY_STATUS_FAIL] == 0 || count[TLY_STATUS_PASS] == 0 ||
            count[TLY_STATUS_UNKNOWN] + count[TLY_STATUS_NA] == 0) {
            fail_msg("%s: %zu rows fail, %zu pass, %zu cannot be decided",
                     tly_posture_checks[id].id, count[TLY_STATUS_FAIL], count[TLY_STATUS_PASS],
                     count[TLY_STATUS_UNKNOWN] + count[TLY_STATUS_NA]);
        }
    }
}

/* With nothing known, nothing may pass or fail that depends on it, and nothing may crash. */
static void without_facts_nothing_fails(void **state)
{
    (void)state;
    const struct tly_posture_settings settings = {0};
    const struct tly_posture_facts facts = {.settings = &settings};
    for (size_t id = 0; id < TLY_POSTURE_COUNT; id++) {
        struct tly_verdict verdict;
        tly_posture_judge((enum tly_posture_id)id, &facts, &verdict);
        if (verdict.status != TLY_STATUS_UNKNOWN && verdict.status != TLY_STATUS_NA) {
            fail_msg("%s: %s of nothing, \"%s\"", tly_posture_checks[id].id,
                     tly_status_names[verdict.status], verdict.message);
        }
        assert_true(verdict.message[0] != '\0');
    }
}

static void every_practice_has_a_check(void **state)
{
    (void)state;
    for (const struct tly_practice *practice = tly_practices; practice->code; practice++) {
        size_t count = 0;
        for (size_t id = 0; id < TLY_POSTURE_COUNT; id++) {
            count += strstr(tly_posture_checks[id].practices, practice->code) != NULL;
        }
        assert_true(count > 0);
    }
}

/* Names are users': what they hold must break neither a terminal nor a format. */
static void messages_are_printable(void **state)
{
    (void)state;
    struct tly_verdict verdict = {0};
    tly_verdict_fail(&verdict, "%s",
                     "a\x1b[31mb\nc\xff"
                     "d\xc3\xa9");
    assert_string_equal(verdict.message, "a?[31mb?c?d\xc3\xa9");
    char longer[2 * TLY_VERDICT_TEXT_MAX];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    memcpy(longer + TLY_VERDICT_TEXT_MAX - 2, "\xc3\xa9", 2); /* cut in two */
    tly_verdict_fail(&verdict, "%s", longer);
    assert_int_equal(strlen(verdict.message), TLY_VERDICT_TEXT_MAX - 1);
    assert_int_equal(tly_text_utf8_prefix(tly_text_of(verdict.message)), TLY_VERDICT_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_judges),          cmocka_unit_test(every_check_has_its_rows),
        cmocka_unit_test(without_facts_nothing_fails), cmocka_unit_test(every_practice_has_a_check),
        cmocka_unit_test(messages_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
