/*
 * The logs of Kubernetes' containers: found below the kubelet's folder, their lines, the names that
 * rotation and new starts give their files, and the moment in which a renamed file is still written
 * to.
 */
#include "collectors/logs/pods.h"
#include "tests/unit/logs/house.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 8192 /* bytes, as conmon cuts them */

static struct house *start(void **state, struct docker *docker)
{
    struct house *house = *state;
    docker_create_as(house, docker, 1, DRIVER_POD);
    house_start(house);
    return house;
}

static void raw(struct docker *docker, const char *text)
{
    docker_raw(docker, text, strlen(text));
}

static void a_record_names_its_pod(void **state)
{
    struct docker docker;
    struct house *house = start(state, &docker);
    docker_write(&docker, "stdout", "hello\\n \xff");
    raw(&docker, "2023-11-14T23:13:20.5+01:00 stderr F:new \n");
    raw(&docker, "no line of a runtime\n");
    sink_await(house, &house->sinks[0], 3);
    const struct taken *taken = house->sinks[0].taken;
    assert_string_equal(taken[0].log, "hello\\n \xff");
    assert_string_equal(taken[0].source, "stdout");
    assert_string_equal(taken[0].id, docker.id);
    assert_string_equal(taken[0].name, "box1");
    assert_string_equal(taken[0].extra, "namespace_name=shop;pod_name=web-1;");
    assert_string_equal(taken[0].tag, "kubernetes.shop.web-1.box1");
    assert_int_equal(taken[0].time_ns, 1700000000000000000LL);
    assert_string_equal(taken[1].log, "");
    assert_string_equal(taken[1].source, "stderr");
    assert_int_equal(taken[1].time_ns, 1700000000500000000LL);
    assert_true(taken[2].malformed);
    assert_string_equal(taken[2].log, "no line of a runtime");
    docker_remove(&docker);
}

static void tags_and_destinations_know_its_labels(void **state)
{
    static char *const shop[] = {"io.kubernetes.pod.namespace=shop"};
    struct house *house = *state;
    struct docker docker;
    (void)snprintf(house->options, sizeof(house->options),
                   "from: beginning, pods_tag: \"k.{id}.{label:io.kubernetes.pod.uid}\"");
    house->sink_count = 2;
    house->selections[1].exclude.labels = (struct tly_patterns){shop, 1};
    docker_create_as(house, &docker, 1, DRIVER_POD);
    docker_write(&docker, "stdout", "x");
    house_start(house);
    sink_await(house, &house->sinks[0], 1);
    char tag[128];
    (void)snprintf(tag, sizeof(tag), "k.000000000000.%s", docker.id);
    assert_string_equal(house->sinks[0].taken[0].tag, tag);
    house_settle(house);
    assert_int_equal(house->sinks[1].count, 0);
    docker_remove(&docker);
}

static void pieces_wait_for_the_rest(void **state)
{
    struct docker docker;
    struct house *house = start(state, &docker);
    const struct sink *sink = &house->sinks[0];
    docker_piece(&docker, "stdout", 'a', PIECE, false);
    docker_piece(&docker, "stderr", 'e', 5, false);
    docker.now_ns += 1000; /* pieces have times of their own */
    docker_piece(&docker, "stdout", 'a', 3, false);
    docker_rotate(&docker, 3);
    docker_piece(&docker, "stdout", 'a', 0, true);
    sink_await(house, &house->sinks[0], 1);
    assert_int_equal(sink->taken[0].log_len, PIECE + 3);
    assert_null(sink->taken[0].partial_id);
    /* Whatever the time: only its container's end makes a line of it. */
    house_ticks(house, 2);
    assert_int_equal(sink->count, 1);
    docker_restart(&docker);
    docker_write(&docker, "stderr", "the next run");
    sink_await(house, &house->sinks[0], 3);
    assert_string_equal(sink->taken[1].log, "eeeee");
    assert_string_equal(sink->taken[2].log, "the next run");
    docker_piece(&docker, "stdout", 'z', 7, false);
    house_settle(house);
    docker_remove(&docker);
    sink_await(house, &house->sinks[0], 4);
    assert_string_equal(sink->taken[3].log, "zzzzzzz");
}

static void a_renamed_file_may_still_grow(void **state)
{
    struct house *house = *state;
    struct docker docker;
    house->closing_ms = 300;
    start(state, &docker);
    docker_lines(&docker, 0, 5);
    sink_await(house, &house->sinks[0], 5);
    int old = dup(docker.fd);
    docker_rotate(&docker, 3);
    int anew = docker.fd;
    house_settle(house);
    docker_lines(&docker, 7, 9);
    house_settle(house);
    assert_int_equal(house->sinks[0].count, 5);
    docker.fd = old;
    docker_lines(&docker, 5, 7);
    close(old);
    docker.fd = anew;
    sink_await(house, &house->sinks[0], 9);
    expect_lines(&house->sinks[0], docker.id, 0, 9);
    docker_remove(&docker);
}

static void files_are_read_in_order_after_a_pause(void **state)
{
    struct docker docker;
    struct house *house = start(state, &docker);
    docker_lines(&docker, 0, 10);
    sink_await(house, &house->sinks[0], 10);
    house_settle(house);
    house_kill(house);
    unsigned line = 10;
    for (unsigned run = 0; run < 12; run++) { /* so that 10.log is newer than 9.log */
        for (unsigned i = 0; i < 3; i++) {
            docker_lines(&docker, line, line + 2);
            line += 2;
            docker_rotate(&docker, 99);
            if (i > 0) {
                docker_compress(&docker, 2);
            }
        }
        docker_lines(&docker, line, line + 1);
        line++;
        docker_restart(&docker);
    }
    docker_lines(&docker, line, line + 1);
    house_start(house);
    sink_await(house, &house->sinks[0], line + 1);
    house_settle(house);
    expect_lines(&house->sinks[0], docker.id, 0, line + 1);
    docker_remove(&docker);
}

static void the_log_of_an_engine_is_not_read_twice(void **state)
{
    struct house *house = *state;
    struct docker docker;
    struct docker pod;
    docker_create(house, &docker, 1);
    docker_create_as(house, &pod, 2, DRIVER_POD);
    docker_lines(&docker, 0, 3);
    assert_int_equal(symlink(docker.log, pod.log), 0);
    house_start(house);
    sink_await(house, &house->sinks[0], 3);
    docker_lines(&docker, 3, 5);
    house_ticks(house, 2);
    expect_lines(&house->sinks[0], docker.id, 0, 5);
    assert_int_equal(house->sinks[0].count, 5);
    docker_remove(&docker);
    docker_remove(&pod);
}

static void pods_come_and_go(void **state)
{
    struct house *house = *state;
    struct docker first;
    struct docker second;
    char path[TEMP_DIR_MAX + 128];
    assert_int_equal(rmdir(house->pods), 0);
    house_start(house);
    house_settle(house);
    assert_int_equal(mkdir(house->pods, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/not-a-pod", house->pods);
    assert_int_equal(mkdir(path, 0700), 0);
    docker_create_as(house, &first, 1, DRIVER_POD);
    docker_lines(&first, 0, 3);
    sink_await(house, &house->sinks[0], 3);
    docker_create_as(house, &second, 2, DRIVER_POD);
    docker_lines(&second, 0, 3);
    sink_await(house, &house->sinks[0], 6);
    expect_lines(&house->sinks[0], first.id, 0, 3);
    expect_lines(&house->sinks[0], second.id, 0, 3);
    /* One is removed while its receiver rests; what it holds open is all there is. */
    sink_set(&house->sinks[0], SINK_RESTS);
    docker_lines(&second, 3, 6);
    docker_rotate(&second, 1);
    docker_lines(&second, 6, 9);
    house_settle(house);
    docker_remove(&second);
    house_ticks(house, 1);
    sink_set(&house->sinks[0], SINK_ACKS);
    sink_await(house, &house->sinks[0], 12);
    expect_lines(&house->sinks[0], second.id, 0, 9);
    docker_remove(&first);
}

struct keys {
    size_t pods;
};

static void count_pod(void *arg, struct tly_text key, const struct tly_position *position)
{
    struct keys *keys = arg;
    keys->pods += tly_text_starts(key, TLY_TEXT("pod/"));
    (void)position;
}

static size_t pod_positions(const struct house *house)
{
    struct keys keys = {0};
    tly_delivery_each_position(house->delivery, house->sinks[0].destination, count_pod, &keys);
    return keys.pods;
}

static void positions_go_with_their_pods(void **state)
{
    struct house *house = *state;
    struct docker first;
    struct docker second;
    start(state, &first);
    docker_create_as(house, &second, 2, DRIVER_POD);
    docker_lines(&first, 0, 1);
    docker_lines(&second, 0, 1);
    sink_await(house, &house->sinks[0], 2);
    house_settle(house);
    assert_int_equal(pod_positions(house), 2);
    house_kill(house);
    docker_remove(&second);
    house_start(house);
    house_settle(house);
    assert_int_equal(pod_positions(house), 2);
    tly_pods_prune(house->collector);
    assert_int_equal(pod_positions(house), 1);
    docker_remove(&first);
    house_settle(house);
    assert_int_equal(pod_positions(house), 0);
}

static void it_can_be_switched_off(void **state)
{
    struct house *house = *state;
    struct docker docker;
    house->pods[0] = '\0';
    (void)snprintf(house->options, sizeof(house->options), "from: beginning");
    docker_create(house, &docker, 1);
    house_start(house);
    docker_lines(&docker, 0, 3);
    sink_await(house, &house->sinks[0], 3);
    house_ticks(house, 1);
    tly_pods_prune(house->collector);
    docker_remove(&docker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_names_its_pod, house_set_up, house_tear_down),
        cmocka_unit_test_setup_teardown(tags_and_destinations_know_its_labels, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(pieces_wait_for_the_rest, house_set_up, house_tear_down),
        cmocka_unit_test_setup_teardown(a_renamed_file_may_still_grow, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(files_are_read_in_order_after_a_pause, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(the_log_of_an_engine_is_not_read_twice, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(pods_come_and_go, house_set_up, house_tear_down),
        cmocka_unit_test_setup_teardown(positions_go_with_their_pods, house_set_up,
                                        house_tear_down),
        cmocka_unit_test_setup_teardown(it_can_be_switched_off, house_set_up, house_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
