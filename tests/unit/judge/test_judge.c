/*
 * The judge on a loop: it ticks, tells, saves, takes up what was saved, and takes other rules.
 */
#include "agent/judge/judge.h"
#include "tests/unit/delivery/turns.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <unistd.h>

/* No group is due more often. */
#define TICK_MS 1000
#define RULES(expr)                                                                                \
    "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {alert: Burns, expr: " expr "}\n"

struct house {
    char folder[TEMP_DIR_MAX];
    int folder_fd;
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_delivery *delivery;
    struct tly_alert_feed feed;
    struct tly_config *config;
    struct tly_judge *judge;
    bool stopped;
    /* What was told last. */
    unsigned news;
    enum tly_alert_state told;
    int64_t active_at_ms;
    size_t changes; /* that were told */
};

static size_t records; /* that were emitted */

void __real_tly_delivery_emit(struct tly_delivery *delivery, struct tly_text tag,
                              struct tly_text record);
void __wrap_tly_delivery_emit(struct tly_delivery *delivery, struct tly_text tag,
                              struct tly_text record);
void __wrap_tly_delivery_emit(struct tly_delivery *delivery, struct tly_text tag,
                              struct tly_text record)
{
    records++;
    __real_tly_delivery_emit(delivery, tag, record);
}

static void take(void *arg, struct tly_alert *alert, unsigned news)
{
    struct house *house = arg;
    house->news = news;
    house->told = alert->state;
    house->active_at_ms = alert->active_at_ms;
    house->changes += (news & TLY_ALERT_CHANGED) != 0;
}

static int set_up(void **state)
{
    static const struct tly_inventory_limits limits = {
        .containers_max = 1, .label_value_bytes_max = 64, .labels_max = 1};
    struct house *house = calloc(1, sizeof(*house));
    struct tly_error err = {0};
    assert_non_null(house);
    temp_dir_make(house->folder);
    house->folder_fd = open(house->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(house->folder_fd >= 0);
    assert_int_equal(tly_loop_new(&house->loop), 0);
    assert_int_equal(tly_inventory_new(&limits, NULL, 0, &house->inventory), 0);
    assert_int_equal(tly_delivery_new(house->loop, -1, &house->delivery, &err), 0);
    assert_int_equal(tly_alert_feed_listen(&house->feed, take, house), 0);
    *state = house;
    return 0;
}

static void note_stopped(void *arg)
{
    struct house *house = arg;
    house->stopped = true;
}

static bool is_stopped(void *arg)
{
    const struct house *house = arg;
    return house->stopped;
}

static void stop(struct house *house)
{
    house->stopped = false;
    tly_judge_stop(house->judge, note_stopped, house);
    assert_true(turns_until(house->loop, is_stopped, house));
    tly_judge_free(house->judge);
    house->judge = NULL;
}

static int tear_down(void **state)
{
    struct house *house = *state;
    if (house->judge) {
        stop(house);
    }
    tly_delivery_free(house->delivery);
    tly_inventory_free(house->inventory);
    tly_config_free(house->config);
    tly_loop_free(house->loop);
    (void)close(house->folder_fd);
    temp_dir_remove(house->folder);
    free(house);
    return 0;
}

static void write_rules(const struct house *house, const char *text)
{
    char path[TEMP_DIR_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/rules.yml", house->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct tly_config *configure(const struct house *house)
{
    static const struct tly_section *const sections[] = {&tly_rules_section};
    static struct tly_complaints complaints; /* too large for a stack frame */
    struct tly_config *config = NULL;
    char text[TEMP_DIR_MAX + 128];
    int len = snprintf(text, sizeof(text),
                       "rules: {builtin: false, files: ['%s/rules.yml'], external_labels: "
                       "[site=here]}\n",
                       house->folder);
    if (tly_config_parse(sections, 1, text, (size_t)len, &complaints, &config) < 0) {
        fail_msg("%s", complaints.at[0].text);
    }
    return config;
}

static void start(struct house *house)
{
    struct tly_error err = {0};
    tly_config_free(house->config);
    house->config = configure(house);
    const struct tly_judge_spec spec = {.loop = house->loop,
                                        .inventory = house->inventory,
                                        .delivery = house->delivery,
                                        .feed = &house->feed,
                                        .config = house->config,
                                        .tick_ms = TICK_MS,
                                        .state_dir_fd = house->folder_fd};
    assert_int_equal(tly_judge_new(&spec, &house->judge, &err), 0);
    house->news = 0;
    tly_judge_start(house->judge);
}

static bool fires(void *arg)
{
    const struct house *house = arg;
    return house->news != 0 && house->told == TLY_ALERT_FIRING;
}

static bool is_resolved(void *arg)
{
    const struct house *house = arg;
    return house->news != 0 && house->told == TLY_ALERT_INACTIVE;
}

/* The alert begins, is taken up by the next process, and ends with other rules. */
static void a_life(void **state)
{
    struct house *house = *state;
    write_rules(house, RULES("vector(1)"));
    start(house);
    assert_int_equal(house->feed.external.count, 1);
    expect_text(house->feed.external.labels[0].value, "here");
    assert_true(turns_until(house->loop, fires, house));
    assert_int_equal(house->news, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
    const int64_t since_ms = house->active_at_ms;
    stop(house);
    assert_int_equal(house->feed.external.count, 0);
    assert_int_equal(faccessat(house->folder_fd, TLY_JUDGE_STATE_FILE, F_OK, 0), 0);

    start(house);
    assert_true(turns_until(house->loop, fires, house));
    assert_false(house->news & TLY_ALERT_CHANGED); /* it fired all the while */
    assert_int_equal(house->active_at_ms, since_ms);

    struct tly_judge_plan *plan = NULL;
    struct tly_error err = {0};
    write_rules(house, RULES("vector(1) > 1"));
    struct tly_config *config = configure(house);
    house->news = 0;
    assert_int_equal(tly_judge_prepare(house->judge, config, TICK_MS, &plan, &err), 0);
    tly_judge_adopt(house->judge, plan);
    tly_config_free(config); /* the judge has its own reference */
    assert_true(turns_until(house->loop, is_resolved, house));
    assert_true(house->news & TLY_ALERT_CHANGED);
    assert_int_equal(house->feed.external.count, 1);
}

/* An alert whose rule is taken away ends, for all that were told of it. */
static void a_rule_leaves(void **state)
{
    struct house *house = *state;
    struct tly_judge_plan *plan = NULL;
    struct tly_error err = {0};
    write_rules(house, RULES("vector(1)"));
    start(house);
    assert_true(turns_until(house->loop, fires, house));
    write_rules(house, "groups: [{name: g, rules: []}]");
    assert_int_equal(tly_judge_prepare(house->judge, house->config, TICK_MS, &plan, &err), 0);
    house->changes = 0;
    records = 0;
    tly_judge_adopt(house->judge, plan);
    assert_true(turns_until(house->loop, is_resolved, house));
    assert_int_equal(house->news, TLY_ALERT_CHANGED | TLY_ALERT_DUE);
    assert_int_equal(house->changes, 1);
    assert_int_equal(records, 1);
}

/* What is wrong with other rules is said, and changes nothing. */
static void a_mistake(void **state)
{
    struct house *house = *state;
    struct tly_judge_plan *plan = NULL;
    struct tly_error err = {0};
    write_rules(house, RULES("vector(1)"));
    start(house);
    write_rules(house, RULES("sum("));
    assert_int_equal(tly_judge_prepare(house->judge, house->config, TICK_MS, &plan, &err),
                     TLY_E_MALFORMED);
    assert_null(plan);
    assert_non_null(strstr(err.text, "rules.yml:5:"));
    assert_true(turns_until(house->loop, fires, house));
}

/* Damaged states cost themselves alone; without rules nothing ticks. */
static void a_bad_start(void **state)
{
    struct house *house = *state;
    int fd = openat(house->folder_fd, TLY_JUDGE_STATE_FILE, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "tally\n", 6), 6);
    (void)close(fd);
    write_rules(house, RULES("vector(1)"));
    start(house);
    assert_true(turns_until(house->loop, fires, house));
    assert_true(house->news & TLY_ALERT_CHANGED);
    stop(house);
    write_rules(house, "");
    start(house);
    stop(house);
    assert_int_equal(house->news, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rule_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mistake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_start, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
