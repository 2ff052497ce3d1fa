/*
 * What a configuration needs, and whether another one's needs are within it.
 */
#include "agent/sandbox/needs.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char dir[TEMP_DIR_MAX];
    struct tly_needs needs;
};

static char path_text[512];

static const char *below(const struct fixture *fixture, const char *name)
{
    (void)snprintf(path_text, sizeof(path_text), "%s/%s", fixture->dir, name);
    return path_text;
}

static void make(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    temp_dir_make(fixture->dir);
    tly_needs_init(&fixture->needs);
    assert_int_equal(mkdir(below(fixture, "certs"), 0700), 0);
    assert_int_equal(mkdir(below(fixture, "store"), 0700), 0);
    make(below(fixture, "store/key.pem"));
    assert_int_equal(symlink("../store/key.pem", below(fixture, "certs/key.pem")), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tly_needs_done(&fixture->needs);
    temp_dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

static bool reads(const struct fixture *fixture, const char *name)
{
    return tly_needs_cover(&fixture->needs, below(fixture, name), TLY_ACCESS_READ);
}

static void a_file_brings_the_folders_in_which_it_may_be_replaced(void **state)
{
    struct fixture *fixture = *state;
    tly_needs_path(&fixture->needs, below(fixture, "certs/key.pem"));
    assert_int_equal(fixture->needs.failed, 0);
    assert_true(reads(fixture, "certs/key.pem"));
    assert_true(reads(fixture, "certs/another.pem"));
    assert_true(reads(fixture, "store/key.pem"));
    assert_false(reads(fixture, "elsewhere"));
    assert_false(
        tly_needs_cover(&fixture->needs, below(fixture, "store/key.pem"), TLY_ACCESS_WRITE));
}

static void folders_with_much_else_are_not_brought(void **state)
{
    struct fixture *fixture = *state;
    static const char *const others[] = {"/etc/shadow", "/root/.ssh/id_rsa", "/etc", "/"};
    tly_needs_path(&fixture->needs, "/etc/passwd");
    tly_needs_path(&fixture->needs, "/etc/there-is-no-such-file");
    tly_needs_folder(&fixture->needs, "/there-is-no-such-folder/below", TLY_ACCESS_READ);
    tly_needs_folder(&fixture->needs, "/etc/there-is-none/below", TLY_ACCESS_READ);
    assert_true(tly_needs_cover(&fixture->needs, "/etc/passwd", TLY_ACCESS_READ));
    for (size_t i = 0; i < ROWS(others); i++) {
        assert_false(tly_needs_cover(&fixture->needs, others[i], TLY_ACCESS_READ));
    }
}

static void what_is_not_there_yet_stands_for_the_nearest_that_is(void **state)
{
    struct fixture *fixture = *state;
    tly_needs_folder(&fixture->needs, below(fixture, "store/later/still"), TLY_ACCESS_READ);
    assert_true(reads(fixture, "store/later/still/x"));
    assert_false(reads(fixture, "certs"));
}

static void names_that_begin_alike_are_others(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(below(fixture, "store2"), 0700), 0);
    tly_needs_folder(&fixture->needs, below(fixture, "store"), TLY_ACCESS_WRITE);
    assert_true(reads(fixture, "store/x"));
    assert_false(reads(fixture, "store2"));
    assert_false(reads(fixture, "store2/x"));
    /* A way that leads out again is seen as what it is. */
    assert_false(reads(fixture, "store/../store2"));
}

static void ports_are_single_ones(void **state)
{
    struct fixture *fixture = *state;
    static const uint16_t ports[] = {0, 1, 63, 64, 24224, 65535};
    for (size_t i = 0; i < ROWS(ports); i++) {
        assert_false(tly_needs_has_port(fixture->needs.connect_ports, ports[i]));
        tly_needs_connect(&fixture->needs, ports[i]);
        assert_true(tly_needs_has_port(fixture->needs.connect_ports, ports[i]));
        assert_false(tly_needs_has_port(fixture->needs.listen_ports, ports[i]));
    }
    assert_false(tly_needs_has_port(fixture->needs.connect_ports, 2));
    assert_false(tly_needs_has_port(fixture->needs.connect_ports, 65534));
}

static void more_than_before_is_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    struct tly_needs wanted;
    struct tly_error err = {0};
    tly_needs_folder(&fixture->needs, below(fixture, "store"), TLY_ACCESS_READ);
    tly_needs_connect(&fixture->needs, 24224);
    fixture->needs.capabilities = 4;

    tly_needs_init(&wanted);
    tly_needs_path(&wanted, below(fixture, "store/key.pem"));
    tly_needs_connect(&wanted, 24224);
    assert_int_equal(tly_needs_within(&wanted, &fixture->needs, &err), 0);
    wanted.capabilities = 6;
    assert_int_equal(tly_needs_within(&wanted, &fixture->needs, &err), -EACCES);
    assert_non_null(strstr(err.text, "rights"));
    wanted.capabilities = 4;
    wanted.looks_into_processes = true;
    assert_int_equal(tly_needs_within(&wanted, &fixture->needs, &err), -EACCES);
    tly_needs_connect(&wanted, 24225);
    assert_int_equal(tly_needs_within(&wanted, &fixture->needs, &err), -EACCES);
    assert_non_null(strstr(err.text, "connect to port 24225"));
    tly_needs_path(&wanted, below(fixture, "certs"));
    assert_int_equal(tly_needs_within(&wanted, &fixture->needs, &err), -EACCES);
    assert_non_null(strstr(err.text, "/certs be read"));
    tly_needs_done(&wanted);

    tly_needs_init(&wanted);
    tly_needs_folder(&wanted, below(fixture, "store"), TLY_ACCESS_WRITE);
    assert_int_equal(tly_needs_within(&wanted, &fixture->needs, &err), -EACCES);
    assert_non_null(strstr(err.text, "/store be written"));
    tly_needs_done(&wanted);

    tly_needs_init(&wanted);
    tly_needs_listen(&wanted, 24224);
    assert_int_equal(tly_needs_within(&wanted, &fixture->needs, &err), -EACCES);
    assert_non_null(strstr(err.text, "listen on port 24224"));
    tly_needs_done(&wanted);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_file_brings_the_folders_in_which_it_may_be_replaced),
        IN_FOLDER(folders_with_much_else_are_not_brought),
        IN_FOLDER(what_is_not_there_yet_stands_for_the_nearest_that_is),
        IN_FOLDER(names_that_begin_alike_are_others),
        IN_FOLDER(ports_are_single_ones),
        IN_FOLDER(more_than_before_is_refused_by_name),
    };
    return cmocka_run_group_tests_name("needs", tests, NULL, NULL);
}
