/*
 * A folder of reports: what is read, refused and forgotten; how images are joined; that a report of
 * 100 MB needs little memory.
 */
#include "agent/base/file.h"
#include "collectors/vulnerabilities/store.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REPORTS_MAX   4
#define BYTES_MAX     (UINT64_C(200) << 20)
#define BIG_BYTES     (UINT64_C(100) << 20)
#define MEMORY_MAX_KB (64 * 1024)

struct house {
    char folder[TEMP_DIR_MAX];
    int fd;
    struct tly_scan_store *store;
    size_t refused;
    char reason[TLY_ERROR_TEXT_MAX];
};

static int make(void **state)
{
    static struct house house;
    house = (struct house){.fd = -1};
    temp_dir_make(house.folder);
    house.fd = open(house.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(house.fd >= 0);
    assert_int_equal(tly_scan_store_new(house.folder, REPORTS_MAX, BYTES_MAX, &house.store), 0);
    *state = &house;
    return 0;
}

static int drop(void **state)
{
    struct house *house = *state;
    tly_scan_store_free(house->store);
    assert_int_equal(close(house->fd), 0);
    temp_dir_remove(house->folder);
    return 0;
}

static void put_file(const struct house *house, const char *name, const char *text)
{
    assert_int_equal(tly_file_replace(house->fd, name, 0644, text, strlen(text)), 0);
}

static void put_report(const struct house *house, const char *name, const char *image,
                       const char *id, const char *digest, const char *time)
{
    char text[1024];
    int len = snprintf(text, sizeof(text),
                       "{\"SchemaVersion\":2,\"ArtifactName\":\"%s\",\"CreatedAt\":\"%s\","
                       "\"Metadata\":{\"ImageID\":\"%s\",\"RepoDigests\":[\"r@%s\"]},\"Results\":["
                       "{\"Vulnerabilities\":[{\"VulnerabilityID\":\"CVE-1\",\"Severity\":"
                       "\"CRITICAL\",\"FixedVersion\":\"2\"}]}]}",
                       image, time, id, digest);
    assert_in_range(len, 1, sizeof(text) - 1);
    put_file(house, name, text);
}

static void note(void *arg, const char *name, const char *reason)
{
    struct house *house = arg;
    (void)name;
    house->refused++;
    (void)snprintf(house->reason, sizeof(house->reason), "%s", reason);
}

/* How many files were refused at this look. */
static size_t look(struct house *house)
{
    house->refused = 0;
    assert_int_equal(tly_scan_store_look(house->store), 0);
    tly_scan_store_each_refused(house->store, note, house);
    return house->refused;
}

#define T1 "2026-07-01T00:00:00Z"
#define T2 "2026-07-02T00:00:00Z"

static void files_come_and_go(void **state)
{
    struct house *house = *state;
    assert_int_equal(look(house), 0);
    assert_int_equal(tly_scan_store_count(house->store), 0);
    put_report(house, "a.json", "app:1", "sha256:aa", "sha256:bb", T1);
    put_file(house, "b.txt", "no report, and none that is looked at");
    put_file(house, ".c.json", "{");
    assert_int_equal(look(house), 0);
    assert_int_equal(tly_scan_store_count(house->store), 1);
    uint64_t bytes = tly_scan_store_bytes(house->store);
    assert_int_equal(look(house), 0);
    assert_int_equal(tly_scan_store_bytes(house->store), bytes); /* nothing changed */
    assert_int_equal(unlinkat(house->fd, "a.json", 0), 0);
    assert_int_equal(look(house), 0);
    assert_int_equal(tly_scan_store_count(house->store), 0);
}

static void bad_files_are_refused_once(void **state)
{
    struct house *house = *state;
    put_file(house, "bad.json", "{\"SchemaVersion\":2,");
    assert_int_equal(look(house), 1);
    assert_non_null(strstr(house->reason, "ends in the middle"));
    assert_int_equal(look(house), 0); /* said once */
    assert_int_equal(tly_scan_store_errors(house->store), 1);
    put_file(house, "bad.json", "[]");
    assert_int_equal(look(house), 1);
    assert_non_null(strstr(house->reason, "0.20"));
    assert_int_equal(mkdirat(house->fd, "folder.json", 0755), 0);
    assert_int_equal(mkfifoat(house->fd, "pipe.json", 0644), 0);
    assert_true(look(house) >= 2);
    put_report(house, "bad.json", "app:1", "sha256:aa", "sha256:bb", T1);
    (void)look(house);
    assert_int_equal(tly_scan_store_count(house->store), 1);
}

/* What was good stays while the next version is not whole. */
/* What cannot be opened is tried each time, since nothing of it changes when it can be. */
static void no_files_are_refused_once(void **state)
{
    struct house *house = *state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    TLY_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket.json", house->folder);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(mkdirat(house->fd, "folder.json", 0755), 0);
    assert_int_equal(look(house), 2);
    assert_int_equal(tly_scan_store_errors(house->store), 2);
    assert_int_equal(look(house), 0);
    assert_int_equal(tly_scan_store_errors(house->store), 2);
    assert_int_equal(unlinkat(house->fd, "socket.json", 0), 0);
    assert_int_equal(unlinkat(house->fd, "folder.json", AT_REMOVEDIR), 0);
    put_file(house, "socket.json", "{");
    assert_int_equal(look(house), 1); /* for another reason */
}

static void a_half_written_report(void **state)
{
    struct house *house = *state;
    put_report(house, "a.json", "app:1", "sha256:aa", "sha256:bb", T1);
    assert_int_equal(look(house), 0);
    put_file(house, "a.json", "{\"SchemaVersion\":2,\"Res");
    assert_int_equal(look(house), 1);
    enum tly_scan_match match;
    assert_non_null(
        tly_scan_store_find(house->store, TLY_TEXT("sha256:aa"), TLY_TEXT(""), NULL, &match));
}

static void too_many_reports(void **state)
{
    struct house *house = *state;
    char name[32];
    for (int i = 0; i < REPORTS_MAX + 2; i++) {
        (void)snprintf(name, sizeof(name), "%d.json", i);
        put_report(house, name, "app:1", "sha256:aa", "sha256:bb", T1);
    }
    (void)look(house);
    assert_int_equal(tly_scan_store_count(house->store), REPORTS_MAX);
    assert_int_equal(tly_scan_store_errors(house->store), 2);
}

static void images_are_joined(void **state)
{
    struct house *house = *state;
    put_report(house, "old.json", "app:1", "sha256:aa", "sha256:bb", T1);
    put_report(house, "new.json", "app:1", "sha256:aa", "sha256:bb", T2);
    put_report(house, "tag.json", "other:latest", "sha256:xx", "sha256:yy", T2);
    assert_int_equal(look(house), 0);
    json_t *image = NULL;
    assert_int_equal(
        tly_json_parse(TLY_TEXT("{\"RepoDigests\":[\"mirror/app@sha256:bb\"]}"), &image, NULL), 0);
    static const struct {
        const char *id, *reference;
        bool digests, found;
        enum tly_scan_match match;
    } rows[] = {
        {"sha256:manifest", "app:2", true, true, TLY_SCAN_BY_DIGEST},
        {"sha256:zz", "app@sha256:bb", false, true, TLY_SCAN_BY_DIGEST},
        {"sha256:aa", "app:2", false, true, TLY_SCAN_BY_ID},
        {"sha256:zz", "app:1", false, true, TLY_SCAN_BY_TAG},
        {"sha256:zz", "other", false, true, TLY_SCAN_BY_TAG},
        {"sha256:zz", "app:3", false, false, TLY_SCAN_BY_TAG},
        {"", "", false, false, TLY_SCAN_BY_TAG},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        enum tly_scan_match match = TLY_SCAN_BY_TAG;
        const struct tly_scan_report *report = tly_scan_store_find(
            house->store, tly_text_of(rows[i].id), tly_text_of(rows[i].reference),
            rows[i].digests ? image : NULL, &match);
        assert_int_equal(report != NULL, rows[i].found);
        if (report) {
            assert_int_equal(match, rows[i].match);
            assert_int_equal(report->time_ns / 1000000000, 1782950400); /* the newest */
        }
    }
    tly_json_free(image);
}

static long memory_kb(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void a_large_report_needs_little_memory(void **state)
{
    struct house *house = *state;
    static char row[4096];
    FILE *file = NULL;
    char path[TEMP_DIR_MAX + 16];
    uint64_t written = 0;
    int count = 0;
    (void)snprintf(path, sizeof(path), "%s/big.json", house->folder);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("{\"SchemaVersion\":2,\"ArtifactName\":\"big:1\",\"Results\":[{"
                      "\"Vulnerabilities\":[",
                      file) >= 0);
    for (; written < BIG_BYTES; count++) {
        int len = snprintf(row, sizeof(row),
                           "%s{\"VulnerabilityID\":\"CVE-%d\",\"Severity\":\"LOW\",\"Description\":"
                           "\"%0*d\"}",
                           count > 0 ? "," : "", count, 2000, 0);
        assert_int_equal(fwrite(row, 1, (size_t)len, file), (size_t)len);
        written += (uint64_t)len;
    }
    assert_true(fputs("]}]}", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(look(house), 0);
    enum tly_scan_match match;
    const struct tly_scan_report *report = tly_scan_store_find(house->store, TLY_TEXT(""),
                                                               TLY_TEXT("big:1"), NULL, &match);
    assert_non_null(report);
    assert_int_equal(report->unique[TLY_VULNERABILITY_LOW][0], count);
    assert_true(memory_kb() < MEMORY_MAX_KB);
}

static void larger_than_allowed(void **state)
{
    struct house *house = *state;
    TLY_AUTO_FD fd = openat(house->fd, "huge.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)BYTES_MAX + 1), 0); /* a hole */
    uint64_t bytes = tly_scan_store_bytes(house->store);
    assert_int_equal(look(house), 1);
    assert_non_null(strstr(house->reason, "report_bytes_max"));
    assert_int_equal(tly_scan_store_bytes(house->store), bytes); /* not even begun */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_come_and_go, make, drop),
        cmocka_unit_test_setup_teardown(bad_files_are_refused_once, make, drop),
        cmocka_unit_test_setup_teardown(no_files_are_refused_once, make, drop),
        cmocka_unit_test_setup_teardown(a_half_written_report, make, drop),
        cmocka_unit_test_setup_teardown(too_many_reports, make, drop),
        cmocka_unit_test_setup_teardown(images_are_joined, make, drop),
        cmocka_unit_test_setup_teardown(a_large_report_needs_little_memory, make, drop),
        cmocka_unit_test_setup_teardown(larger_than_allowed, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
