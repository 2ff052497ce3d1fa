/*
 * The sums of `docker system df`, out of lists as engines send them up to API 1.51, and as the
 * engine's own from 1.52 on; and out of replies that say less.
 */
#include "agent/codec/engine_usage.h"
#include "tests/unit/unit.h"

static void parse(const char *json, struct tly_engine_usage *usage)
{
    assert_int_equal(tly_engine_usage_parse(tly_text_of(json), usage, NULL), 0);
}

#define EXPECT(kind, total_, active_, bytes_, reclaimable_)                                        \
    do {                                                                                           \
        assert_int_equal(usage.of[kind].total, total_);                                            \
        assert_int_equal(usage.of[kind].active, active_);                                          \
        assert_int_equal(usage.of[kind].bytes, bytes_);                                            \
        assert_int_equal(usage.of[kind].reclaimable_bytes, reclaimable_);                          \
    } while (0)

static void test_lists(void **state)
{
    (void)state;
    struct tly_engine_usage usage;
    parse(
        "{\"LayersSize\":1000,\"Images\":[{\"Size\":600,\"SharedSize\":100,\"Containers\":2},"
        "{\"Size\":400,\"SharedSize\":100,\"Containers\":0},{\"Size\":-1,\"Containers\":0}],"
        "\"Containers\":[{\"State\":\"running\",\"SizeRw\":10},{\"State\":\"exited\","
        "\"SizeRw\":5},{\"State\":\"paused\"}],"
        "\"Volumes\":[{\"UsageData\":{\"Size\":70,\"RefCount\":1}},{\"UsageData\":{\"Size\":30,"
        "\"RefCount\":0}},{\"UsageData\":{\"Size\":-1,\"RefCount\":-1}},{}],"
        "\"BuildCache\":[{\"Size\":8,\"InUse\":true},{\"Size\":4},{\"Size\":99,\"Shared\":true}]}",
        &usage);
    EXPECT(TLY_USAGE_IMAGES, 3, 1, 1000, 500);
    EXPECT(TLY_USAGE_CONTAINERS, 3, 2, 15, 5);
    EXPECT(TLY_USAGE_VOLUMES, 4, 1, 100, 30);
    EXPECT(TLY_USAGE_BUILD_CACHE, 3, 1, 12, 4);
}

static void test_sums_of_the_engine(void **state)
{
    (void)state;
    struct tly_engine_usage usage;
    parse("{\"ImageUsage\":{\"ActiveCount\":2,\"TotalCount\":5,\"Reclaimable\":3000,"
          "\"TotalSize\":4000,\"Items\":[]},\"ContainerUsage\":{\"TotalCount\":1,"
          "\"ActiveCount\":0,\"TotalSize\":7,\"Reclaimable\":7},\"VolumeUsage\":{},"
          "\"Images\":[{\"Size\":1}],\"LayersSize\":1}",
          &usage);
    EXPECT(TLY_USAGE_IMAGES, 5, 2, 4000, 3000);
    EXPECT(TLY_USAGE_CONTAINERS, 1, 0, 7, 7);
    EXPECT(TLY_USAGE_VOLUMES, -1, -1, -1, -1);
    EXPECT(TLY_USAGE_BUILD_CACHE, -1, -1, -1, -1);
}

static void test_odd_replies(void **state)
{
    (void)state;
    struct tly_engine_usage usage;
    parse("{\"Images\":null,\"Containers\":7,\"Volumes\":[7,null,\"x\"],\"BuildCache\":[{\"Size\":"
          "9223372036854775807},{\"Size\":9223372036854775807}]}",
          &usage);
    EXPECT(TLY_USAGE_IMAGES, 0, 0, -1, -1);
    EXPECT(TLY_USAGE_CONTAINERS, -1, -1, -1, -1);
    EXPECT(TLY_USAGE_VOLUMES, 3, 0, 0, 0);
    EXPECT(TLY_USAGE_BUILD_CACHE, 2, 0, INT64_MAX, INT64_MAX);
    static const char *const bad[] = {"", "[]", "<html>", "{\"Images\":["};
    for (size_t i = 0; i < ROWS(bad); i++) {
        assert_int_equal(tly_engine_usage_parse(tly_text_of(bad[i]), &usage, NULL),
                         TLY_E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_sums_of_the_engine),
        cmocka_unit_test(test_odd_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
