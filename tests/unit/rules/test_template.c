/*
 * Templates: what Go and Prometheus make of each, and how the malformed ones are refused.
 */
#include "agent/rules/template.h"
#include "tests/unit/unit.h"

#include <math.h>

static const struct tly_alert_pair labels[] = {
    {TLY_TEXT("__name__"), TLY_TEXT("up")},
    {TLY_TEXT("id"), TLY_TEXT("/docker/a")},
    {TLY_TEXT("name"), TLY_TEXT("web <1>")},
};
static const struct tly_alert_pair external[] = {{TLY_TEXT("host"), TLY_TEXT("h1")}};
static struct tly_template_sample samples[] = {
    {labels, 3, 2.5},
    {external, 1, 1},
};

static int query(void *arg, struct tly_text expression, struct tly_arena *arena,
                 struct tly_template_sample **ret_samples, size_t *ret_count, struct tly_error *err)
{
    (void)arg;
    (void)arena;
    if (tly_text_equal(expression, TLY_TEXT("bad"))) {
        return tly_error_set(err, TLY_E_REFUSED, "no");
    }
    *ret_samples = samples;
    *ret_count = tly_text_equal(expression, TLY_TEXT("none")) ? 0 : 2;
    return 0;
}

static const struct tly_template_data data = {
    .labels = labels,
    .label_count = 3,
    .value = 1234567.5,
    .external_labels = external,
    .external_label_count = 1,
    .external_url = {"http://h:9090/p", 15},
    .at_ms = 1500,
    .query = query,
};

static void check(const char *text, const char *expected)
{
    struct tly_template *template = NULL;
    struct tly_error err = {0};
    size_t at = 0;
    if (tly_template_parse(tly_text_of(text), &template, &at, &err) < 0) {
        fail_msg("%s: %zu: %s", text, at, err.text);
    }
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    int rc = tly_template_expand(template, &data, &buf, &err);
    if (rc < 0) {
        assert_int_equal(buf.len, 0);
        assert_int_equal(tly_template_fault(&buf, &err), 0);
    }
    struct tly_text got = buf.at ? tly_buf_text(&buf) : TLY_TEXT("");
    bool prefix = rc < 0 && tly_text_starts(got, tly_text_of(expected));
    if (!prefix && !tly_text_equal(got, tly_text_of(expected))) {
        fail_msg("%s\n=> %.*s\nnot %s", text, (int)got.len, got.at, expected);
    }
    tly_buf_done(&buf);
    tly_template_free(template);
}

#define FAULT "<error expanding template: "
static void test_expand(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"plain } text", "plain } text"},
        {"{{ $labels.id }}/{{.Labels.name}}", "/docker/a/web <1>"},
        {"{{ $value }} {{ .Value }}", "1.2345675e+06 1.2345675e+06"},
        {"[{{ $labels.absent }}]", "[]"},
        {"{{ $externalLabels.host }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
         "h1 http://h:9090/p http://h:9090/p /p"},
        {"a {{- \" b \" -}} \n c", "a b c"},
        {"a{{/* no */}}b {{- /* no */ -}} c", "abc"},
        {"{{ if gt $value 1.0 }}a{{ else }}b{{ end }}", "a"},
        {"{{ if lt $value 1.0 }}a{{ else if eq $labels.id \"x\" }}b{{ else }}c{{ end }}", "c"},
        {"{{ if and $labels.id (not $labels.absent) }}y{{ end }}", "y"},
        {"{{ or $labels.absent \"x\" }} {{ and 1 0 }}", "x 0"},
        {"{{ gt $value 1 }}", FAULT "incompatible types"},
        {"{{ lt \"a\" \"b\" }} {{ le 2 2 }} {{ ge 1.5 2.5 }} {{ ne 1 2 }} {{ eq 1 2 1 }}",
         "true true false true true"},
        {"{{ with $labels.id }}{{ . }}{{ else }}none{{ end }}", "/docker/a"},
        {"{{ with $x := $labels.absent }}{{ $x }}{{ else }}none{{ end }}", "none"},
        {"{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
         "__name__=up;id=/docker/a;name=web <1>;"},
        {"{{ range query \"x\" }}{{ .Labels.host }}{{ .Value }},{{ end }}", "2.5,h11,"},
        {"{{ range $i, $s := query \"x\" }}{{ $i }}{{ if $i }}{{ break }}{{ end }}{{ end }}", "01"},
        {"{{ range query \"x\" }}{{ continue }}no{{ end }}", ""},
        {"{{ range query \"none\" }}a{{ else }}nothing{{ end }}", "nothing"},
        {"{{ query \"x\" | first | value }} {{ query \"x\" | first | label \"id\" }}",
         "2.5 /docker/a"},
        {"{{ (index (query \"x\") 1).Labels.host }} {{ query \"x\" | len }}", "h1 2"},
        {"{{ range query \"x\" | sortByLabel \"host\" }}{{ .Value }} {{ end }}", "2.5 1 "},
        {"{{ query \"none\" | first }}", FAULT "first() called"},
        {"{{ query \"bad\" }}", FAULT "query: no"},
        {"{{ $x := 1 }}{{ $x }}{{ $x = 2 }}{{ $x }}{{ if true }}{{ $x = 3 }}{{ end }}{{ $x }}",
         "123"},
        {"{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"},
        {"{{ printf \"%.2f|%5d|%-4s|%q|%v|%x|%t|%%|%s\" 1.005 42 \"ab\" \"c\\\"\" 1e6 255 true }}",
         "1.00|   42|ab  |\"c\\\"\"|1e+06|ff|true|%|%!s(MISSING)"},
        {"{{ printf \"%d\" 1.5 }} {{ printf \"x\" 1 }} {{ printf \"%05.1f\" 2.25 }}",
         "%!d(float64=1.5) x%!(EXTRA int=1) 002.2"},
        {"{{ 1.0 }} {{ 1 }} {{ -0x10 }} {{ 1e3 }} {{ 0.1 }} {{ true }} {{ `a\\n` }}",
         "1 1 -16 1000 0.1 true a\\n"},
        {"{{ print 1 2 \"a\" 3 }}|{{ println \"a\" 1 }}|", "1 2a3|a 1\n|"},
        {"{{ index $labels \"id\" }} {{ len \"abc\" }} {{ len $labels }}", "/docker/a 3 3"},
        {"{{ $labels }}", "map[__name__:up id:/docker/a name:web <1>]"},
        {"{{ title \"ab cd\" }} {{ toUpper \"aB\" }} {{ \"aB\" | toLower }}", "Ab Cd AB ab"},
        {"{{ match \"b+\" \"abbc\" }} {{ match \"^b\" \"abbc\" }}", "true false"},
        {"{{ reReplaceAll \"(b)(c)?\" \"<$1>\" \"abcb\" }}", "a<b><b>"},
        {"{{ reReplaceAll \"x*\" \"-\" \"axb\" }}", "-a-b-"},
        {"{{ reReplaceAll \"(\" \"-\" \"axb\" }}", FAULT "reReplaceAll"},
        {"{{ stripPort \"a.b:80\" }} {{ stripDomain \"a.b.c:80\" }} {{ stripDomain \"1.2.3.4\" }}",
         "a.b a:80 1.2.3.4"},
        {"{{ html \"<a&'>\" }} {{ urlquery \"a b/c\" }} {{ graphLink \"up > 1\" }}",
         "&lt;a&amp;&#39;&gt; a+b%2Fc /graph?g0.expr=up+%3E+1&g0.tab=0"},
        {"{{ (args 1 \"b\").arg1 }}", "b"},
        {"{{ humanize 0.0 }} {{ humanize 1234567 }} {{ humanize 0.00012 }} {{ humanize \"12\" }}",
         "0 1.235M 120u 12"},
        {"{{ humanize1024 1048576.0 }} {{ humanize1024 100 }} {{ humanize1024 -2048.0 }}",
         "1Mi 100 -2ki"},
        {"{{ humanizeDuration 0 }} {{ humanizeDuration 0.0012 }} {{ humanizeDuration 59.12345 }} "
         "{{ humanizeDuration 3661 }} {{ humanizeDuration -90061 }}",
         "0s 1.2ms 59.12s 1h 1m 1s -1d 1h 1m 1s"},
        {"{{ humanizePercentage 0.1234567 }}", "12.35%"},
        {"{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp 0 }}",
         "2015-06-23 13:19:44.128 +0000 UTC 1970-01-01 00:00:00 +0000 UTC"},
        {"{{ humanize \"x\" }}", FAULT "humanize: can't convert"},
        {"{{ parseDuration \"1h30m\" }} {{ now }}", "5400 1.5"},
        {"{{ $labels.id.foo }}", FAULT "can't evaluate field foo in type string"},
        {"{{ .Nothing }}", FAULT "can't evaluate field Nothing"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        check(rows[i][0], rows[i][1]);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
        const char *says;
    } rows[] = {
        {"a {{ $x }}", 5, "not defined"},
        {"{{ foo }}", 3, "no function `foo`"},
        {"{{ toTime 1 }}", 3, "toTime is left out"},
        {"{{ template \"x\" }}", 3, "left out"},
        {"{{ $labels.id", 0, "never closed"},
        {"{{ \"a }}", 3, "never closed"},
        {"{{ if true }}a", 0, "without `{{ end }}`"},
        {"a{{ end }}", 10, "without a block"},
        {"{{ break }}", 3, "outside of range"},
        {"{{ }}", 3, "a value is missing"},
        {"{{ if }}{{ end }}", 6, "a value is missing"},
        {"{{ (1 }}", 3, "never closed"},
        {"{{ 1 2 }}", 3, "only a function"},
        {"{{ 1 | 2 }}", 7, "only a function"},
        {"{{ humanize }}", 3, "takes 1 argument"},
        {"{{ humanize 1 2 }}", 3, "takes 1 argument"},
        {"{{ $labels. }}", 10, "name is missing"},
        {"{{ 1x }}", 3, "no number"},
        {"{{ \"\\z\" }}", 5, "no escape"},
        {"{{ \"\\xq\" }}", 5, "too few digits"},
        {"{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", 38, "not defined"},
        {"{{/* a }}", 0, "never closed"},
        {"{{ humanize\"1\" }}", 11, "a blank is missing"},
        {"{{ end }", 0, "never closed"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_template *template = NULL;
        struct tly_error err = {0};
        size_t at = 0;
        int rc = tly_template_parse(tly_text_of(rows[i].text), &template, &at, &err);
        if (rc >= 0 || at != rows[i].at || !strstr(err.text, rows[i].says)) {
            fail_msg("%s => %d, %zu: %s", rows[i].text, rc, at, err.text);
        }
    }
}

/* What would take too long or too much is stopped, and says so. */
static void test_bounds(void **state)
{
    (void)state;
#define TEN(text)   text text text text text text text text text text
#define OVER(inner) "{{ range $labels }}" inner "{{ end }}"
    check(OVER(OVER(OVER(OVER(OVER(OVER(OVER(OVER(OVER(OVER(OVER("{{ 1 }}"))))))))))),
          FAULT "the template takes more than 100000 steps");
    check(OVER(OVER(OVER(OVER(OVER(OVER(TEN(TEN("0123456789")))))))), FAULT "the result is longer");
    check("{{ $x := \"0123456789abcdef\" }}" OVER(
              OVER(OVER(OVER(OVER("{{ $x = print $x $x }}"))))) "{{ len $x }}",
          FAULT "the template takes too much memory");
}

static int note(void *arg, struct tly_text expression)
{
    struct tly_buf *buf = arg;
    return tly_buf_printf(buf, "%.*s;", (int)expression.len, expression.at);
}

static void test_queries(void **state)
{
    (void)state;
    struct tly_template *template = NULL;
    struct tly_error err = {0};
    size_t at = 0;
    struct tly_text text = TLY_TEXT(
        "{{ query \"a\" }}{{ if true }}{{ (query `b`) | first }}{{ else }}"
        "{{ \"c\" | query }}{{ printf \"d\" | query }}{{ end }}");
    assert_int_equal(tly_template_parse(text, &template, &at, &err), 0);
    struct tly_buf buf;
    tly_buf_init(&buf, 100);
    assert_int_equal(tly_template_queries(template, note, &buf), 0);
    assert_true(tly_text_equal(tly_buf_text(&buf), TLY_TEXT("a;b;c;")));
    tly_buf_done(&buf);
    tly_template_free(template);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
