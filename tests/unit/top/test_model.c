/*
 * Answers as rows: what is known, what is not, what needs attention; odd answers change nothing and
 * break nothing.
 */
#include "agent/top/list.h"
#include "agent/top/model.h"
#include "tests/unit/top/house.h"
#include "tests/unit/unit.h"

static struct tly_top_model model;

static int setup(void **state)
{
    (void)state;
    tly_top_model_init(&model);
    assert_int_equal(tly_top_model_overview(&model, tly_text_of(overview_json), NULL), 0);
    tly_top_model_judge(&model);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tly_top_model_done(&model);
    return 0;
}

static void test_overview(void **state)
{
    const struct tly_top_container *web = &model.containers[0];
    const struct tly_top_container *nobody = &model.containers[4];
    (void)state;
    expect_text(model.host_name, "host-7");
    assert_int_equal(model.container_count, 5);
    assert_float_equal(model.host_cpu, 1.42, 1e-9);
    assert_float_equal(model.time, 1787486400, 1e-3);
    expect_text(web->name, "web");
    expect_text(web->project, "shop");
    assert_float_equal(web->figures[TLY_FIGURE_CPU], 0.1234, 1e-9);
    assert_float_equal(web->figures[TLY_FIGURE_MEMORY_MAX], 536870912, 1e-3);
    assert_float_equal(web->figures[TLY_FIGURE_FAILED_HIGH], 1, 1e-9);
    expect_text(tly_top_name(nobody), "555555555555");
    assert_false(tly_known(nobody->figures[TLY_FIGURE_CPU]));
    assert_false(tly_top_runs(nobody));
    assert_true(tly_top_has_page(&model, "/api/v1/alerts"));
    assert_false(tly_top_has_page(&model, "/api/v1/findings"));
    assert_float_equal(tly_top_failed(&model, "critical,high"), 3, 1e-9);
    assert_float_equal(tly_top_failed(&model, "critical"), 0, 1e-9);
    assert_float_equal(tly_top_worst_lag(&model), 75.5, 1e-9);
}

static void expect_troubles(size_t index, enum tly_level level, const char *expected)
{
    char text[TLY_CELL_MAX];
    (void)tly_columns[1].write(&model, &model.containers[index], text);
    expect_text(tly_text_of(text), expected);
    assert_int_equal(model.containers[index].level, level);
}

static void test_troubles(void **state)
{
    (void)state;
    expect_troubles(0, TLY_LEVEL_OK, "");
    expect_troubles(1, TLY_LEVEL_BAD,
                    "unhealthy, memory 98 %, throttled 40 %, log 1 min 15 s behind");
    expect_troubles(2, TLY_LEVEL_BAD, "out of memory");
    expect_troubles(3, TLY_LEVEL_OK, "");
    assert_int_equal(tly_top_model_alerts(&model, tly_text_of(alerts_json), NULL), 0);
    tly_top_model_judge(&model);
    expect_troubles(0, TLY_LEVEL_BAD, "1 alert");
}

static void test_alerts(void **state)
{
    (void)state;
    assert_int_equal(tly_top_model_alerts(&model, tly_text_of(alerts_json), NULL), 0);
    tly_top_model_judge(&model);
    assert_int_equal(model.alert_count, 3);
    expect_text(model.alerts[0].name, "Down"); /* critical before warning, firing before pending */
    expect_text(model.alerts[1].name, "Slow");
    expect_text(model.alerts[2].name, "Waits");
    assert_int_equal(model.alerts[0].container, 0); /* by the id in its labels */
    assert_true(model.alerts[1].container == TLY_NOWHERE);
    assert_int_equal(model.alerts[2].container, 0); /* by its name */
    /* A new overview, to whose rows they belong from then on. */
    assert_int_equal(tly_top_model_overview(&model, tly_text_of(overview_json), NULL), 0);
    tly_top_model_judge(&model);
    expect_troubles(0, TLY_LEVEL_BAD, "1 alert");
}

static void test_verdict(void **state)
{
    struct tly_verdict_text verdict;
    (void)state;
    tly_top_verdict(&model, &verdict);
    expect_text(tly_text_of(verdict.text), "2 containers need attention, logs 1 min 15 s behind");
    expect_text(tly_text_of(verdict.more), "Store: unhealthy \u00b7 batch: out of memory");
    assert_int_equal(verdict.level, TLY_LEVEL_BAD);
    assert_int_equal(
        tly_top_model_overview(&model,
                               TLY_TEXT("{\"containers\":[[\"1234\",\"a\",\"running\"]],"
                                        "\"columns\":[\"id\",\"name\",\"state\"]}"),
                               NULL),
        0);
    tly_top_model_judge(&model);
    tly_top_verdict(&model, &verdict);
    expect_text(tly_text_of(verdict.text), "All is well");
    expect_text(tly_text_of(verdict.more), "1 container running");
}

static void test_lacks(void **state)
{
    struct tly_top_lack lack;
    (void)state;
    assert_int_equal(tly_top_lack_count(&model), 2);
    assert_true(tly_top_lack(&model, 0, &lack));
    expect_text(tly_text_of(lack.lost), "Without it networks are not seen.");
    assert_true(tly_top_lack(&model, 1, &lack));
    expect_text(tly_text_of(lack.what), "Collector disk");
    assert_false(tly_top_lack(&model, 2, &lack));
}

static void test_rates(void **state)
{
    char later[sizeof(overview_json)];
    (void)state;
    assert_int_equal(model.rate_count, 1);
    assert_false(tly_known(model.rates[0].rate));
    memcpy(later, overview_json, sizeof(later));
    strstr(later, "12:00:00")[6] = '1'; /* ten seconds later */
    strstr(later, ":1000}")[2] = '5';   /* 500 records later */
    assert_int_equal(tly_top_model_overview(&model, tly_text_of(later), NULL), 0);
    assert_float_equal(model.rates[0].rate, 50, 1e-6);
}

static void test_findings(void **state)
{
    (void)state;
    assert_int_equal(tly_top_model_findings(&model, tly_text_of(findings_json), NULL), 0);
    assert_int_equal(model.finding_count, 3);
    expect_text(model.findings[0].check, "privileged");
    expect_text(model.findings[1].name, "Store");
    expect_text(model.findings[2].name, "web");
    assert_float_equal(model.findings_left_out, 7, 1e-9);
}

static void test_history(void **state)
{
    (void)state;
    assert_int_equal(
        tly_top_model_history(&model, TLY_TEXT(ID("1")), tly_text_of(history_json), NULL), 0);
    assert_int_equal(model.history.count, 3);
    assert_float_equal(model.history.points[TLY_SERIES_CPU][2], 0.3, 1e-9);
    assert_false(tly_known(model.history.points[TLY_SERIES_CPU][1]));
    assert_int_equal(model.host_history.count, 1);
    assert_int_equal(model.agent_history.count, 0);
}

/* What is no such answer leaves what was known. */
static void test_odd_answers(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "[]",
        "{}",
        "null",
        "{\"containers\":7}",
        "{\"containers\":{}}",
        "{\"data\":[]}",
        "{\"findings\":\"a\",\"events\":1}",
        "<html>",
    };
    struct tly_error err;
    (void)state;
    for (size_t i = 0; i < ROWS(bodies); i++) {
        struct tly_text body = tly_text_of(bodies[i]);
        assert_int_equal(tly_top_model_overview(&model, body, &err), TLY_E_MALFORMED);
        assert_int_equal(tly_top_model_alerts(&model, body, &err), TLY_E_MALFORMED);
        assert_int_equal(tly_top_model_findings(&model, body, &err), TLY_E_MALFORMED);
        assert_int_equal(tly_top_model_events(&model, body, &err), TLY_E_MALFORMED);
        assert_true(*err.text != '\0');
    }
    assert_int_equal(model.container_count, 5);
    expect_text(model.containers[0].name, "web");
}

/* ---- the list ---- */

static void expect_list(struct tly_choice choice, const char *expected)
{
    size_t order[8];
    char names[256] = "";
    size_t count = tly_list_make(&model, &choice, order);
    for (size_t i = 0; i < count; i++) {
        struct tly_text id = model.containers[order[i]].id;
        strncat(names, id.at, 1);
    }
    expect_text(tly_text_of(names), expected);
}

static void test_sort(void **state)
{
    (void)state;
    expect_list((struct tly_choice){.sort = TLY_SORT_ATTENTION}, "23451");
    expect_list((struct tly_choice){.sort = TLY_SORT_NAME}, "45321");
    expect_list((struct tly_choice){.sort = TLY_SORT_NAME, .reverse = true}, "12354");
    expect_list((struct tly_choice){.sort = TLY_SORT_CPU}, "21453");
    expect_list((struct tly_choice){.sort = TLY_SORT_CPU, .reverse = true}, "41253");
    expect_list((struct tly_choice){.sort = TLY_SORT_RESTARTS}, "24315");
    expect_list((struct tly_choice){.sort = TLY_SORT_NET}, "12453");
    expect_list((struct tly_choice){.sort = TLY_SORT_STATE}, "53412");
}

static void test_filter(void **state)
{
    (void)state;
    expect_list((struct tly_choice){.filter = "SHOP"}, "21");
    expect_list((struct tly_choice){.filter = "  shop   ngin "}, "1");
    expect_list((struct tly_choice){.filter = "store"}, "2");
    expect_list((struct tly_choice){.filter = "5555"}, "5");
    expect_list((struct tly_choice){.filter = "unhealthy"}, "2");
    expect_list((struct tly_choice){.filter = "no such"}, "");
    expect_list((struct tly_choice){.show = TLY_SHOW_STOPPED}, "35");
    expect_list((struct tly_choice){.show = TLY_SHOW_RUNNING}, "241");
    expect_list((struct tly_choice){.show = TLY_SHOW_ATTENTION}, "23");
    expect_list((struct tly_choice){.show = TLY_SHOW_UNHEALTHY}, "2");
    assert_int_equal(tly_list_count(&model, TLY_SHOW_RUNNING), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_overview),    TEST(test_troubles), TEST(test_alerts),   TEST(test_verdict),
        TEST(test_lacks),       TEST(test_rates),    TEST(test_findings), TEST(test_history),
        TEST(test_odd_answers), TEST(test_sort),     TEST(test_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
