/*
 * The engines that the logs tests pretend: Docker with its drivers json-file and local, a runtime
 * and a kubelet.
 */
#include "tests/unit/local_entry.h"
#include "tests/unit/logs/house.h"

#include "agent/base/clock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define START_NS 1700000000000000000LL

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void create_container(struct house *house, struct docker *docker, unsigned number)
{
    char config[512];
    bool local = docker->driver == DRIVER_LOCAL;
    (void)snprintf(docker->dir, sizeof(docker->dir), "%s/%s", house->containers, docker->id);
    (void)snprintf(docker->log, sizeof(docker->log), "%s/%s%s", docker->dir,
                   local ? "local-logs/container.log" : docker->id, local ? "" : "-json.log");
    assert_int_equal(mkdir(docker->dir, 0700), 0);
    (void)snprintf(config, sizeof(config),
                   "{\"ID\":\"%s\",\"Name\":\"/box%u\",\"State\":{\"Running\":true},"
                   "\"Config\":{\"Image\":\"busybox:1\",\"Labels\":{\"app\":\"shop\"}}}",
                   docker->id, number);
    write_file(docker->dir, "config.v2.json", config);
    write_file(docker->dir, "hostconfig.json",
               local ? "{\"LogConfig\":{\"Type\":\"local\"}}"
                     : "{\"LogConfig\":{\"Type\":\"json-file\"}}");
}

static void create_pod(struct house *house, struct docker *docker, unsigned number)
{
    int len = snprintf(docker->dir, sizeof(docker->dir), "%s/shop_web-%u_%s", house->pods, number,
                       docker->id);
    assert_int_equal(mkdir(docker->dir, 0700), 0);
    (void)snprintf(docker->dir + len, sizeof(docker->dir) - (size_t)len, "/box%u", number);
    assert_int_equal(mkdir(docker->dir, 0700), 0);
    (void)snprintf(docker->log, sizeof(docker->log), "%s/0.log", docker->dir);
}

void docker_create_as(struct house *house, struct docker *docker, unsigned number,
                      enum driver driver)
{
    *docker = (struct docker){.driver = driver, .fd = -1, .now_ns = START_NS};
    (void)snprintf(docker->id, sizeof(docker->id), "%064x", number);
    if (driver == DRIVER_POD) {
        create_pod(house, docker, number);
    } else {
        create_container(house, docker, number);
    }
}

void docker_create(struct house *house, struct docker *docker, unsigned number)
{
    docker_create_as(house, docker, number, DRIVER_JSON);
}

static void open_log(struct docker *docker)
{
    char dir[sizeof(docker->dir) + 16];
    (void)snprintf(dir, sizeof(dir), "%s/local-logs", docker->dir);
    if (docker->driver == DRIVER_LOCAL && access(dir, F_OK) < 0) {
        assert_int_equal(mkdir(dir, 0700), 0);
    }
    docker->fd = open(docker->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    assert_true(docker->fd >= 0);
}

void docker_raw(struct docker *docker, const char *bytes, size_t len)
{
    if (docker->fd < 0) {
        open_log(docker);
    }
    assert_int_equal(write(docker->fd, bytes, len), len);
}

static size_t put_local(struct docker *docker, char *to, const char *stream, struct tly_text text,
                        bool whole)
{
    char id[16];
    size_t at = strcmp(stream, "stdout") == 0 ? 0 : 1;
    struct tly_local_entry entry = {
        .source = tly_text_of(stream), .time_ns = docker->now_ns, .line = text};
    if (!whole || docker->pieces[at] > 0) {
        (void)snprintf(id, sizeof(id), "%zu-%u", at, docker->lines[at]);
        entry.partial = true;
        entry.partial_id = tly_text_of(id);
        entry.partial_last = whole;
        entry.partial_ordinal = (int32_t)++docker->pieces[at];
    }
    docker->pieces[at] = whole ? 0 : docker->pieces[at];
    docker->lines[at] += whole;
    return local_entry_write(to, &entry);
}

/* RFC 3339, as Docker writes it but for the zeros at its end. */
static void format_time(int64_t ns, char *to, size_t size)
{
    time_t second = (time_t)(ns / TLY_NS_PER_S);
    struct tm utc;
    assert_non_null(gmtime_r(&second, &utc));
    size_t len = strftime(to, size, "%Y-%m-%dT%H:%M:%S", &utc);
    assert_true(len > 0);
    (void)snprintf(to + len, size - len, ".%09lldZ", (long long)(ns % TLY_NS_PER_S));
}

void docker_entry(struct docker *docker, const char *stream, struct tly_text text, bool whole)
{
    size_t cap = text.len + 256;
    char time[48];
    format_time(docker->now_ns, time, sizeof(time));
    char *line = malloc(cap);
    assert_non_null(line);
    size_t len;
    if (docker->driver == DRIVER_LOCAL) {
        len = put_local(docker, line, stream, text, whole);
    } else if (docker->driver == DRIVER_POD) {
        int head = snprintf(line, cap, "%s %s %c ", time, stream, whole ? 'F' : 'P');
        memcpy(line + head, text.at, text.len);
        len = (size_t)head + text.len;
        line[len++] = '\n';
    } else {
        len = (size_t)snprintf(line, cap,
                               "{\"log\":\"%.*s%s\",\"stream\":\"%s\",\"time\":"
                               "\"%s\"}\n",
                               (int)text.len, text.at, whole ? "\\n" : "", stream, time);
    }
    docker_raw(docker, line, len);
    free(line);
}

void docker_write(struct docker *docker, const char *stream, const char *text)
{
    docker_entry(docker, stream, tly_text_of(text), true);
    docker->now_ns += 1000;
}

void docker_piece(struct docker *docker, const char *stream, char fill, size_t len, bool last)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, fill, len);
    docker_entry(docker, stream, (struct tly_text){text, len}, last);
    docker->now_ns += last ? 1000 : 0; /* all pieces of a line have the time of the first */
    free(text);
}

void docker_lines(struct docker *docker, unsigned from, unsigned until)
{
    for (unsigned n = from; n < until; n++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%u: the quick brown fox", n);
        docker_write(docker, "stdout", text);
    }
}

static void name_of(const struct docker *docker, unsigned number, bool gzip, char to[512])
{
    if (number == 0) {
        (void)snprintf(to, 512, "%s", docker->log);
    } else if (docker->driver != DRIVER_POD) {
        (void)snprintf(to, 512, "%s.%u%s", docker->log, number, gzip ? ".gz" : "");
    } else {
        bool there = number <= docker->rotated_count;
        (void)snprintf(to, 512, "%s/%s%s", docker->dir,
                       there ? docker->rotated[docker->rotated_count - number] : "none",
                       gzip ? ".gz" : "");
    }
}

static void unlink_number(const struct docker *docker, unsigned number)
{
    char name[512];
    for (int gzip = 0; gzip < 2; gzip++) {
        name_of(docker, number, gzip, name);
        (void)unlink(name); /* may not be there */
    }
}

/* The kubelet's next name for the log; nothing is renamed yet. */
static void push_stamp(struct docker *docker)
{
    assert_true(docker->rotated_count < ROTATED_MAX);
    (void)snprintf(docker->rotated[docker->rotated_count], sizeof(docker->rotated[0]),
                   "%u.log.20231114-%06u", docker->starts, docker->rotated_count);
    docker->rotated_count++;
}

static void rotate_pod(struct docker *docker, unsigned max_file)
{
    char name[512];
    push_stamp(docker);
    name_of(docker, 1, false, name);
    assert_int_equal(rename(docker->log, name), 0);
    for (unsigned number = max_file; number <= docker->rotated_count; number++) {
        unlink_number(docker, number);
    }
}

static void rotate_docker(struct docker *docker, unsigned max_file)
{
    char from[512];
    char to[512];
    if (max_file <= 1) {
        assert_int_equal(unlink(docker->log), 0);
    } else {
        unlink_number(docker, max_file - 1);
    }
    for (unsigned i = max_file - 1; i > 0 && max_file > 1; i--) {
        for (int gzip = 0; gzip < (i > 1 ? 2 : 1); gzip++) {
            name_of(docker, i - 1, gzip, from);
            name_of(docker, i, gzip, to);
            (void)rename(from, to); /* may not be there */
        }
    }
}

static void open_anew(struct docker *docker)
{
    docker->fd = open(docker->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
    assert_true(docker->fd >= 0);
}

void docker_rotate(struct docker *docker, unsigned max_file)
{
    assert_int_equal(close(docker->fd), 0);
    if (docker->driver == DRIVER_POD) {
        rotate_pod(docker, max_file);
    } else {
        rotate_docker(docker, max_file);
    }
    open_anew(docker);
}

void docker_restart(struct docker *docker)
{
    assert_true(docker->driver == DRIVER_POD && docker->rotated_count < ROTATED_MAX);
    assert_int_equal(close(docker->fd), 0);
    (void)snprintf(docker->rotated[docker->rotated_count++], sizeof(docker->rotated[0]), "%u.log",
                   docker->starts++);
    (void)snprintf(docker->log, sizeof(docker->log), "%s/%u.log", docker->dir, docker->starts);
    open_anew(docker);
}

void docker_copytruncate(struct docker *docker)
{
    char copy[512];
    char command[2200];
    if (docker->driver == DRIVER_POD) {
        unlink_number(docker, 1);
        push_stamp(docker);
    }
    name_of(docker, 1, false, copy);
    (void)snprintf(command, sizeof(command), "rm -f -- %s.gz; cp -- %s %s && truncate -s 0 -- %s",
                   copy, docker->log, copy, docker->log);
    assert_int_equal(system(command), 0);
}

bool docker_compressible(const struct docker *docker, unsigned number)
{
    char name[512];
    name_of(docker, number, false, name);
    /* The kubelet compresses what it has renamed, not what an ended container has left. */
    bool renamed = docker->driver != DRIVER_POD || strstr(name, ".log.") != NULL;
    return renamed && access(name, F_OK) == 0;
}

void docker_compress(const struct docker *docker, unsigned number)
{
    char name[512];
    char command[4096];
    name_of(docker, number, false, name);
    if (docker->driver == DRIVER_POD) {
        (void)snprintf(command, sizeof(command),
                       "gzip -1 -c -- %s >%s.tmp && mv -- %s.tmp %s.gz && rm -- %s", name, name,
                       name, name, name);
    } else {
        (void)snprintf(command, sizeof(command), "gzip -1 -- %s", name);
    }
    assert_int_equal(system(command), 0);
}

void docker_remove(struct docker *docker)
{
    if (docker->fd >= 0) {
        close(docker->fd);
        docker->fd = -1;
    }
    char command[sizeof(docker->dir) + 16];
    (void)snprintf(command, sizeof(command), "rm -rf -- %s", docker->dir);
    assert_int_equal(system(command), 0);
}

void docker_reopen(struct docker *docker)
{
    close(docker->fd);
    docker->fd = -1;
}
