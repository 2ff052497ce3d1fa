/*
 * The core's own sections: the defaults that the documents promise, and the addresses that they
 * take.
 */
#include "agent/config/settings.h"
#include "tests/unit/unit.h"

#include <string.h>

static const struct tly_section *const sections[] = {&tly_settings_section, &tly_docker_section,
                                                     &tly_collect_section, &tly_web_section,
                                                     &tly_log_section};
static struct tly_complaints complaints;

static int clear_environment(void **state)
{
    (void)state;
    return unsetenv("DOCKER_HOST") < 0 || unsetenv("STATE_DIRECTORY") < 0 ? -1 : 0;
}

static struct tly_config *parse(const char *text)
{
    struct tly_config *config = NULL;
    int rc = tly_config_parse(sections, ROWS(sections), text, strlen(text), &complaints, &config);
    return rc < 0 ? NULL : config;
}

static void test_defaults(void **state)
{
    (void)state;
    struct tly_config *config = parse("");
    assert_non_null(config);
    const struct tly_settings *settings = tly_config_section(config, &tly_settings_section);
    const struct tly_docker_settings *docker = tly_config_section(config, &tly_docker_section);
    const struct tly_collect_settings *collect = tly_config_section(config, &tly_collect_section);
    const struct tly_web_settings *web = tly_config_section(config, &tly_web_section);
    const struct tly_log_settings *log = tly_config_section(config, &tly_log_section);
    assert_string_equal(settings->state_dir, "/var/lib/tallyman");
    assert_string_equal(docker->host, "unix:///var/run/docker.sock");
    assert_null(docker->data_root);
    assert_int_equal(docker->timeout_ms, 10000);
    assert_int_equal(collect->interval_ms, 10000);
    assert_int_equal(collect->labels.count, 5);
    assert_string_equal(collect->labels.at[0], "com.docker.compose.project");
    assert_int_equal(collect->containers_max, 10000);
    assert_int_equal(web->listen.count, 1);
    assert_string_equal(web->listen.at[0], "127.0.0.1:10191");
    assert_null(web->config_file);
    assert_int_equal(log->level, 1);
    tly_config_free(config);
}

static void test_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("DOCKER_HOST", "tcp://engine:2375", 1), 0);
    assert_int_equal(setenv("STATE_DIRECTORY", "/state", 1), 0);
    struct tly_config *config = parse("");
    assert_non_null(config);
    const struct tly_settings *settings = tly_config_section(config, &tly_settings_section);
    const struct tly_docker_settings *docker = tly_config_section(config, &tly_docker_section);
    assert_string_equal(settings->state_dir, "/state");
    assert_string_equal(docker->host, "tcp://engine:2375");
    tly_config_free(config);

    config = parse("docker: {host: ''}\n"); /* the file stands above the environment */
    assert_non_null(config);
    docker = tly_config_section(config, &tly_docker_section);
    assert_string_equal(docker->host, "");
    tly_config_free(config);

    assert_int_equal(setenv("DOCKER_HOST", "ssh://engine", 1), 0);
    assert_null(parse(""));
    assert_non_null(strstr(complaints.at[0].text, "DOCKER_HOST"));
    assert_non_null(strstr(complaints.at[0].text, "ssh://engine"));
    assert_int_equal(clear_environment(NULL), 0);
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"docker: {host: 'unix:///run/x.sock'}", true},
        {"docker: {host: 'unix://run/x.sock'}", false},
        {"docker: {host: 'unix:///'}", false},
        {"docker: {host: 'tcp://'}", false},
        {"docker: {host: '/run/x.sock'}", false},
        {"docker: {cert_file: a}", false},
        {"docker: {cert_file: a, key_file: b}", true},
        {"web: {listen: ':10191'}", true},
        {"web: {listen: 'localhost:0'}", true},
        {"web: {listen: '[::1]:10191'}", true},
        {"web: {listen: ['127.0.0.1:1', 'unix:///run/t.sock']}", true},
        {"web: {listen: []}", true},
        {"web: {listen: '10191'}", false},
        {"web: {listen: '::1:10191'}", false},
        {"web: {listen: 'host:'}", false},
        {"web: {listen: 'host:65536'}", false},
        {"web: {listen: 'host:http'}", false},
        {"web: {listen: ''}", false},
        {"collect: {interval: 999ms}", false},
        {"collect: {labels: ['']}", false},
        {"collect: {labels: ['*']}", true},
        {"collect: {containers_max: 0}", false},
        {"log: {level: debug}", true},
        {"log: {level: trace}", false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tly_config *config = parse(rows[i].text);
        if ((config != NULL) != rows[i].good) {
            fail_msg("%s", rows[i].text);
        }
        tly_config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_accepted),
    };
    return cmocka_run_group_tests(tests, clear_environment, NULL);
}
