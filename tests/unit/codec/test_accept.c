/*
 * Which format and coding a client gets. The long headers are what Prometheus 2.42 and 3.x send.
 */
#include "agent/codec/accept.h"
#include "tests/unit/unit.h"

static void test_format(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum tly_exposition_format format;
    } rows[] = {
        {"", TLY_EXPOSITION_TEXT_0_0_4},
        {"*/*", TLY_EXPOSITION_TEXT_0_0_4},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
         TLY_EXPOSITION_TEXT_0_0_4},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         TLY_EXPOSITION_OPENMETRICS_1_0_0},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/"
         "openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
         "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         TLY_EXPOSITION_OPENMETRICS_1_0_0},
        {"text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3",
         TLY_EXPOSITION_TEXT_1_0_0},
        {"application/openmetrics-text", TLY_EXPOSITION_OPENMETRICS_0_0_1},
        {"application/openmetrics-text; version=2.0.0", TLY_EXPOSITION_TEXT_0_0_4},
        {"Application/OpenMetrics-Text; Version=\"1.0.0\"", TLY_EXPOSITION_OPENMETRICS_1_0_0},
        /* the weight goes before the place */
        {"application/openmetrics-text;version=1.0.0;q=0.1, text/plain;q=0.2",
         TLY_EXPOSITION_TEXT_0_0_4},
        {"text/plain;version=1.0.0;q=0.125,application/openmetrics-text;version=1.0.0;q=0.126",
         TLY_EXPOSITION_OPENMETRICS_1_0_0},
        /* forbidden, or with a weight that is none */
        {"application/openmetrics-text;version=1.0.0;q=0", TLY_EXPOSITION_TEXT_0_0_4},
        {"application/openmetrics-text;version=1.0.0;q=0.000,*/*", TLY_EXPOSITION_TEXT_0_0_4},
        {"application/openmetrics-text;version=1.0.0;q=high", TLY_EXPOSITION_TEXT_0_0_4},
        {"application/openmetrics-text;version=1.0.0;q=-1", TLY_EXPOSITION_TEXT_0_0_4},
        {"application/openmetrics-text;version=1.0.0;q=", TLY_EXPOSITION_TEXT_0_0_4},
        {"application/openmetrics-text;version=1.0.0;q=1.9", TLY_EXPOSITION_OPENMETRICS_1_0_0},
        /* rubbish beside a good clause */
        {",;,;;=,q=,;q=0.3;,,application/openmetrics-text;version=1.0.0;q=0.2;x",
         TLY_EXPOSITION_OPENMETRICS_1_0_0},
        {"application/json", TLY_EXPOSITION_TEXT_0_0_4},
        {"application/openmetrics-text-more;version=1.0.0", TLY_EXPOSITION_TEXT_0_0_4},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        enum tly_exposition_format format = tly_accept_format(tly_text_of(rows[i].accept));
        if (format != rows[i].format) {
            fail_msg("\"%s\": got %s", rows[i].accept, tly_exposition_content_types[format]);
        }
    }
}

static void test_gzip(void **state)
{
    (void)state;
    static const struct {
        const char *accept_encoding;
        bool gzip;
    } rows[] = {
        {"", false},
        {"gzip", true},
        {"GZip", true},
        {"x-gzip", true},
        {"deflate, gzip;q=1.0, *;q=0.5", true},
        {"gzip;q=0", false},
        {"gzip;q=0.0, *", false},
        {"*, gzip;q=0", false},
        {"*", true},
        {"*;q=0", false},
        {"identity", false},
        {"br, zstd", false},
        {"gzipped", false},
        {"gzip;q=0.001", true},
        {"gzip;q=maybe", false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        if (tly_accept_gzip(tly_text_of(rows[i].accept_encoding)) != rows[i].gzip) {
            fail_msg("\"%s\"", rows[i].accept_encoding);
        }
    }
    assert_false(tly_accept_gzip((struct tly_text){0}));
    assert_int_equal(tly_accept_format((struct tly_text){0}), TLY_EXPOSITION_TEXT_0_0_4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
