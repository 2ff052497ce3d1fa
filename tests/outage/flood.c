/*
 * Logs by the gigabyte, and whether all of them arrived. Belongs to run.py.
 *
 * usage: flood write FILE NUMBER BYTES ROTATIONS
 *          Writes about BYTES of Docker's json-file format to FILE, as the container NUMBER would,
 *          renamed to FILE.1, FILE.2 ... so often on the way. Prints the number of lines.
 *        flood check LINES...
 *          Reads what `tallyman receive` prints until every line of every container has come, so
 *          many of the first container, of the second, and so on. Each has to come for the first
 *          time right behind the one before it. Prints how many came again.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES    (1 << 20)
#define LINE_BYTES_MAX 1024
#define CONTAINERS_MAX 64
#define PATH_BYTES_MAX 4096

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* ---- writing ---- */

/* Between "x" and a line of 600 bytes; 215 on average. */
static size_t put_line(char *to, unsigned container, uint64_t number)
{
    static const char filler[] =
        "GET /api/v1/items?page=3\\u0026sort=name HTTP/1.1\\\" 200 5316 "
        "\\\"https://example.com/\\\" "
        "Gr\xc3\xbc\xc3\x9f"
        "e aus K\xc3\xb6ln, Mozilla/5.0 (X11; x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Traceback (most recent call last): File \\\"/usr/lib/python3.11/worker.py\\\", line 217";
    static const int lengths[] = {0, 36, 172, 20, 103, 172, 78, 172};
    int len = snprintf(to, LINE_BYTES_MAX,
                       "{\"log\":\"%u:%" PRIu64 " %.*s\\n\",\"stream\":\"stdout\",\"time\":"
                       "\"2026-08-23T00:00:00.%09uZ\"}\n",
                       container, number, lengths[number % 8], filler,
                       (unsigned)(number % 999999937));
    return (size_t)len;
}

static void write_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t count = write(fd, at, len);
        if (count < 0) {
            die("write");
        }
        at += count;
        len -= (size_t)count;
    }
}

static int open_log(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
        die(path);
    }
    return fd;
}

/* What was FILE becomes FILE.1, after what had that name became FILE.2, and so on. */
static void rotate(const char *path, unsigned done)
{
    char from[PATH_BYTES_MAX];
    char to[PATH_BYTES_MAX];
    for (unsigned i = done; i-- > 0;) {
        (void)snprintf(to, sizeof(to), "%s.%u", path, i + 1);
        (void)snprintf(from, sizeof(from), "%s.%u", path, i);
        if (rename(i > 0 ? from : path, to) < 0) {
            die(to);
        }
    }
}

static uint64_t flood(const char *path, unsigned container, uint64_t bytes, unsigned rotations)
{
    static char block[BLOCK_BYTES + LINE_BYTES_MAX];
    uint64_t lines = 0;
    uint64_t written = 0;
    size_t len = 0;
    unsigned rotated = 0;
    int fd = open_log(path);
    while (written < bytes) {
        while (len < BLOCK_BYTES) {
            len += put_line(block + len, container, lines++);
        }
        write_all(fd, block, len);
        written += len;
        len = 0;
        if (rotated < rotations && written >= bytes / (rotations + 1) * (rotated + 1)) {
            close(fd);
            rotate(path, ++rotated);
            fd = open_log(path);
        }
    }
    close(fd);
    return lines;
}

/* ---- checking ---- */

struct expected {
    uint64_t lines, seen, repeats;
};

static bool take_line(struct expected *all, size_t count, const char *line, size_t len)
{
    static const char key[] = "\"log\":\"";
    const char *at = memmem(line, len, key, sizeof(key) - 1);
    if (!at) {
        return false;
    }
    char *end;
    uint64_t container = strtoull(at + sizeof(key) - 1, &end, 10);
    if (*end != ':' || container >= count) {
        return false;
    }
    struct expected *expected = &all[container];
    uint64_t number = strtoull(end + 1, &end, 10);
    if (*end != ' ' || number > expected->seen || number >= expected->lines) {
        return false;
    }
    expected->repeats += number < expected->seen;
    expected->seen += number == expected->seen;
    return true;
}

static bool is_complete(const struct expected *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].seen < all[i].lines) {
            return false;
        }
    }
    return true;
}

static void check(struct expected *all, size_t count)
{
    char *line = NULL;
    size_t cap = 0;
    while (!is_complete(all, count)) {
        ssize_t len = getline(&line, &cap, stdin);
        if (len < 0 || !take_line(all, count, line, (size_t)len)) {
            (void)fprintf(stderr, "unexpected: %s", len < 0 ? "the end\n" : line);
            exit(EXIT_FAILURE);
        }
    }
    free(line);
}

static int check_all(char **lines, size_t count)
{
    struct expected all[CONTAINERS_MAX] = {{0}};
    for (size_t i = 0; i < count; i++) {
        all[i].lines = strtoull(lines[i], NULL, 10);
    }
    check(all, count);
    uint64_t repeats = 0;
    for (size_t i = 0; i < count; i++) {
        repeats += all[i].repeats;
    }
    (void)printf("%" PRIu64 "\n", repeats);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "write") == 0) {
        uint64_t lines = flood(argv[2], (unsigned)strtoul(argv[3], NULL, 10),
                               strtoull(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
        (void)printf("%" PRIu64 "\n", lines);
        return EXIT_SUCCESS;
    }
    if (argc > 2 && argc - 2 <= CONTAINERS_MAX && strcmp(argv[1], "check") == 0) {
        return check_all(argv + 2, (size_t)argc - 2);
    }
    (void)fprintf(stderr, "usage: flood write FILE NUMBER BYTES ROTATIONS | check LINES...\n");
    return EXIT_FAILURE;
}
