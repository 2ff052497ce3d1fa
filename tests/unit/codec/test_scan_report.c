/*
 * Scanners' reports: what is taken from each kind, and what is refused with which words.
 */
#include "agent/codec/scan_report.h"
#include "tests/unit/unit.h"

#include <string.h>

static int read_in_pieces(const char *text, size_t piece, struct tly_scan_report *report,
                          struct tly_error *err)
{
    struct tly_scan_reader *reader = NULL;
    assert_int_equal(tly_scan_reader_new(&reader), 0);
    struct tly_text rest = tly_text_of(text);
    int rc = 0;
    while (rc == 0 && rest.len > 0) {
        size_t len = rest.len < piece ? rest.len : piece;
        rc = tly_scan_reader_feed(reader, (struct tly_text){rest.at, len}, err);
        rest = (struct tly_text){rest.at + len, rest.len - len};
    }
    rc = rc < 0 ? rc : tly_scan_reader_end(reader, report, err);
    tly_scan_reader_free(reader);
    return rc;
}

/* A vulnerability that two packages have is one, in two rows. */
static const char trivy[] =
    "{\"SchemaVersion\":2,\"CreatedAt\":\"2026-07-01T10:00:00Z\",\"ArtifactName\":\"app:1\","
    "\"ArtifactType\":\"container_image\",\"Trivy\":{\"Version\":\"0.60.0\"},"
    "\"Metadata\":{\"OS\":{\"Family\":\"debian\",\"Name\":\"9\",\"EOSL\":true},"
    "\"ImageID\":\"sha256:aa\",\"RepoTags\":[\"app:1\",\"r/app:1\"],"
    "\"RepoDigests\":[\"r/app@sha256:bb\"],\"ImageConfig\":{\"history\":[{\"x\":1}]}},"
    "\"Results\":[{\"Target\":\"os\",\"Vulnerabilities\":["
    "{\"VulnerabilityID\":\"CVE-1\",\"PkgName\":\"libcrypto\",\"Severity\":\"HIGH\","
    "\"FixedVersion\":\"1.1\",\"Description\":\"\\u00e9 {[\\\"\",\"CVSS\":{\"nvd\":{\"S\":1}}},"
    "{\"VulnerabilityID\":\"CVE-1\",\"PkgName\":\"libssl\",\"Severity\":\"HIGH\"},"
    "{\"VulnerabilityID\":\"CVE-2\",\"Severity\":\"CRITICAL\",\"FixedVersion\":\"\"},"
    "{\"VulnerabilityID\":\"CVE-3\",\"Severity\":\"UNKNOWN\"}]},"
    "{\"Target\":\"clean\",\"Vulnerabilities\":null},{\"Target\":\"none\"}]}";

static void trivy_reports(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof(trivy); piece = piece * 3 + 1) {
        struct tly_scan_report report;
        assert_int_equal(read_in_pieces(trivy, piece, &report, NULL), 0);
        assert_int_equal(report.scanner, TLY_SCANNER_TRIVY);
        assert_string_equal(report.version, "0.60.0");
        assert_int_equal(report.name_count, 2);
        assert_string_equal(report.names[0], "app:1");
        assert_string_equal(report.names[1], "r/app:1");
        assert_int_equal(report.digest_count, 2);
        assert_string_equal(report.digests[0], "sha256:aa");
        assert_string_equal(report.digests[1], "r/app@sha256:bb");
        assert_int_equal(report.time_ns / 1000000000, 1782900000);
        assert_int_equal(report.end_of_life, 1);
        assert_int_equal(report.unique[TLY_VULNERABILITY_HIGH][1], 1);
        assert_int_equal(report.unique[TLY_VULNERABILITY_HIGH][0], 0);
        assert_int_equal(report.rows[TLY_VULNERABILITY_HIGH][1], 1);
        assert_int_equal(report.rows[TLY_VULNERABILITY_HIGH][0], 1);
        assert_int_equal(report.unique[TLY_VULNERABILITY_CRITICAL][0], 1);
        assert_int_equal(report.unique[TLY_VULNERABILITY_UNKNOWN][0], 1);
    }
}

static void grype_reports(void **state)
{
    (void)state;
    static const char text[] =
        "{\"matches\":[{\"vulnerability\":{\"id\":\"GHSA-1\",\"severity\":\"Negligible\","
        "\"fix\":{\"versions\":[\"2\"],\"state\":\"fixed\"}},\"relatedVulnerabilities\":["
        "{\"id\":\"CVE-9\",\"severity\":\"High\"}],\"artifact\":{\"id\":\"x\",\"name\":\"p\"}},"
        "{\"vulnerability\":{\"id\":\"CVE-2\",\"severity\":\"Critical\",\"fix\":{\"state\":"
        "\"not-fixed\"}}}],\"ignoredMatches\":[{\"vulnerability\":{\"id\":\"CVE-7\","
        "\"severity\":\"High\"}}],\"source\":{\"type\":\"image\",\"target\":{\"userInput\":"
        "\"app:1\",\"imageID\":\"sha256:aa\",\"manifestDigest\":\"sha256:cc\",\"tags\":[],"
        "\"repoDigests\":[\"r/app@sha256:bb\"]}},\"descriptor\":{\"name\":\"grype\",\"version\":"
        "\"0.90\",\"timestamp\":\"2026-07-01T10:00:00Z\"}}";
    struct tly_scan_report report;
    assert_int_equal(read_in_pieces(text, 7, &report, NULL), 0);
    assert_int_equal(report.scanner, TLY_SCANNER_GRYPE);
    assert_int_equal(report.digest_count, 3);
    assert_int_equal(report.unique[TLY_VULNERABILITY_NEGLIGIBLE][1], 1);
    assert_int_equal(report.unique[TLY_VULNERABILITY_CRITICAL][0], 1);
    assert_int_equal(report.unique[TLY_VULNERABILITY_HIGH][0], 0);
    assert_int_equal(report.end_of_life, -1);
}

static void clair_reports(void **state)
{
    (void)state;
    static const char text[] =
        "{\"manifest_hash\":\"sha256:cc\",\"packages\":{\"1\":{\"id\":\"1\",\"name\":\"p\"}},"
        "\"vulnerabilities\":{\"1\":{\"id\":\"1\",\"name\":\"CVE-1\",\"severity\":\"Important\","
        "\"normalized_severity\":\"High\",\"fixed_in_version\":\"2\",\"package\":{\"name\":\"p\"}},"
        "\"name\":{\"name\":\"CVE-2\",\"normalized_severity\":\"Low\",\"fixed_in_version\":\"\"}},"
        "\"package_vulnerabilities\":{\"1\":[\"1\",2]}}";
    struct tly_scan_report report;
    assert_int_equal(read_in_pieces(text, 5, &report, NULL), 0);
    assert_int_equal(report.scanner, TLY_SCANNER_CLAIR);
    assert_int_equal(report.time_ns, 0);
    assert_string_equal(report.digests[0], "sha256:cc");
    assert_int_equal(report.unique[TLY_VULNERABILITY_HIGH][1], 1);
    assert_int_equal(report.unique[TLY_VULNERABILITY_LOW][0], 1);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"", "ends in the middle, at byte 0"},
        {"{\"SchemaVersion\":2,\"Results\":[", "ends in the middle, at byte 30"},
        {"{\"SchemaVersion\":2,}", "not JSON at byte 19"},
        {"[{\"Target\":\"x\",\"Vulnerabilities\":[]}]", "before 0.20"},
        {"{\"SchemaVersion\":1,\"Results\":[]}", "schema 1"},
        {"{\"SchemaVersion\":3}", "schema 3"},
        {"{\"version\":\"2.1.0\",\"runs\":[]}", "no report"},
        {"{\"matches\":[],\"descriptor\":{\"name\":\"other\"}}", "no report"},
        {"{\"manifest_hash\":\"x\"}", "no report"},
        {"{}", "no report"},
        {"<html>", "not JSON at byte 0"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_scan_report report;
        struct tly_error err = {0};
        assert_true(read_in_pieces(rows[i].text, 3, &report, &err) < 0);
        if (!strstr(err.text, rows[i].said)) {
            fail_msg("%s: \"%s\" without \"%s\"", rows[i].text, err.text, rows[i].said);
        }
    }
}

static void too_deep(void **state)
{
    (void)state;
    char text[200];
    struct tly_scan_report report;
    struct tly_error err = {0};
    memset(text, '[', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(read_in_pieces(text, 9, &report, &err), TLY_E_LIMIT);
    assert_non_null(strstr(err.text, "deeper than 64 at byte 64"));
}

/* Many different ones, so that the set grows; and over its bound. */
static void many_vulnerabilities(void **state)
{
    (void)state;
    struct tly_scan_reader *reader = NULL;
    struct tly_error err = {0};
    char row[128];
    int rc = 0;
    assert_int_equal(tly_scan_reader_new(&reader), 0);
    assert_int_equal(tly_scan_reader_feed(reader,
                                          TLY_TEXT("{\"SchemaVersion\":2,\"Results\":[{"
                                                   "\"Vulnerabilities\":["),
                                          NULL),
                     0);
    int count = 0;
    for (; rc == 0 && count < TLY_SCAN_VULNERABILITIES_MAX + 10; count++) {
        int len = snprintf(row, sizeof(row), "%s{\"VulnerabilityID\":\"CVE-%d\"}",
                           count > 0 ? "," : "", count);
        rc = tly_scan_reader_feed(reader, (struct tly_text){row, (size_t)len}, &err);
    }
    assert_int_equal(rc, TLY_E_LIMIT);
    assert_int_equal(count, TLY_SCAN_VULNERABILITIES_MAX + 1);
    assert_non_null(strstr(err.text, "different vulnerabilities"));
    tly_scan_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trivy_reports), cmocka_unit_test(grype_reports),
        cmocka_unit_test(clair_reports), cmocka_unit_test(refused),
        cmocka_unit_test(too_deep),      cmocka_unit_test(many_vulnerabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
