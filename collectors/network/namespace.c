/*
 * Reading a network namespace by /proc/<pid>: whatever is open of it belongs to the table's worker.
 */
#include "collectors/network/namespace.h"

#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* net/dev takes 130 bytes for each interface, net/netstat 5 KiB. */
#define BUFFER_FIRST 16384
#define BUFFER_MAX   (1U << 20)

/* A table of sockets beyond this costs the worker more than 20 ms at each tick. */
#define SOCKETS_BYTES_MAX (8U << 20)

int tly_namespace_reader_init(struct tly_namespace_reader *reader, size_t held_max)
{
    *reader = (struct tly_namespace_reader){.cap = BUFFER_FIRST, .held_max = held_max};
    reader->buffer = malloc(BUFFER_FIRST);
    return reader->buffer == NULL ? -ENOMEM : 0;
}

void tly_namespace_reader_done(struct tly_namespace_reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

/* Reads `fd` from its start; the buffer grows if the file fills it. A file of /proc/net comes in
 * pieces of a page or so. */
static int whole_read(struct tly_namespace_reader *reader, int fd, struct tly_text *ret_text)
{
    size_t len = 0;
    while (true) {
        ssize_t got = tly_file_pread(fd, reader->buffer + len, reader->cap - len, (off_t)len);
        if (got < 0) {
            return (int)got;
        }
        len += (size_t)got;
        if (got == 0) {
            *ret_text = (struct tly_text){reader->buffer, len};
            return 0;
        }
        if (len < reader->cap) {
            continue;
        }
        char *grown = reader->cap >= BUFFER_MAX ? NULL : realloc(reader->buffer, reader->cap * 2);
        if (grown == NULL) {
            return reader->cap >= BUFFER_MAX ? -E2BIG : -ENOMEM;
        }
        reader->buffer = grown;
        reader->cap *= 2;
    }
}

/* Whether the text of /proc/<pid>/cgroup may be that of a process of the container: it has the id,
 * or it is the root of the agent's own cgroup namespace, below which nothing is said. */
static bool cgroup_fits(struct tly_text text, struct tly_text id)
{
    while (text.at != NULL) {
        struct tly_text line = tly_text_cut(&text, '\n');
        if (id.len == 0 || memmem(line.at, line.len, id.at, id.len) != NULL ||
            tly_text_equal(line, TLY_TEXT("0::/"))) {
            return true;
        }
    }
    return false;
}

static int process_check(struct tly_namespace_reader *reader, const struct tly_namespace *space,
                         struct tly_text id)
{
    struct tly_text text;
    int rc = id.len == 0 ? 0 : tly_namespace_file(reader, space, "cgroup", &text);
    if (rc == 0 && id.len > 0 && !cgroup_fits(text, id)) {
        return -ESRCH;
    }
    return rc;
}

int tly_namespace_open(struct tly_namespace_reader *reader, int proc_fd, int64_t pid,
                       struct tly_text id, struct tly_namespace *ret_space)
{
    struct tly_namespace space = TLY_NAMESPACE_CLOSED;
    char name[24];
    (void)snprintf(name, sizeof(name), "%" PRId64, pid); /* 20 bytes at most */
    int rc = tly_file_open(proc_fd, name, O_RDONLY | O_DIRECTORY, &space.process_fd);
    if (rc == 0) {
        rc = process_check(reader, &space, id);
    }
    struct stat status;
    if (rc == 0 && fstatat(space.process_fd, "ns/net", &status, 0) == 0) {
        space.known = true;
        space.device = status.st_dev;
        space.inode = status.st_ino;
    }
    if (rc < 0) {
        tly_namespace_close(reader, &space);
        return rc == -ENOENT ? -ESRCH : rc;
    }
    *ret_space = space;
    return 0;
}

void tly_namespace_close(struct tly_namespace_reader *reader, struct tly_namespace *space)
{
    reader->held -= space->dev_fd >= 0;
    tly_fd_close(&space->dev_fd);
    tly_fd_close(&space->process_fd);
}

bool tly_namespace_alive(const struct tly_namespace *space)
{
    return space->process_fd >= 0 && faccessat(space->process_fd, "cgroup", F_OK, 0) == 0;
}

int tly_namespace_devices(struct tly_namespace_reader *reader, struct tly_namespace *space,
                          struct tly_text *ret_text)
{
    if (space->dev_fd >= 0) {
        return whole_read(reader, space->dev_fd, ret_text);
    }
    TLY_AUTO_FD fd = -1;
    int rc = tly_file_open(space->process_fd, "net/dev", O_RDONLY, &fd);
    if (rc == 0) {
        rc = whole_read(reader, fd, ret_text);
    }
    if (rc == 0 && reader->held < reader->held_max) {
        reader->held++;
        space->dev_fd = fd;
        fd = -1;
    }
    return rc;
}

int tly_namespace_file(struct tly_namespace_reader *reader, const struct tly_namespace *space,
                       const char *name, struct tly_text *ret_text)
{
    TLY_AUTO_FD fd = -1;
    int rc = tly_file_open(space->process_fd, name, O_RDONLY, &fd);
    return rc < 0 ? rc : whole_read(reader, fd, ret_text);
}

int tly_namespace_sockets(struct tly_namespace_reader *reader, const struct tly_namespace *space,
                          const char *name, struct tly_peers *peers,
                          struct tly_net_sockets *ret_sockets)
{
    TLY_AUTO_FD fd = -1;
    struct tly_net_sockets sockets;
    size_t offset = 0;
    tly_net_sockets_init(&sockets, peers);
    int rc = tly_file_open(space->process_fd, name, O_RDONLY, &fd);
    if (rc < 0) {
        return rc;
    }
    while (!sockets.cut) {
        ssize_t got = tly_file_pread(fd, reader->buffer, reader->cap, (off_t)offset);
        if (got < 0) {
            return (int)got;
        }
        if (got == 0) {
            tly_net_sockets_end(&sockets);
            break;
        }
        tly_net_sockets_feed(&sockets, (struct tly_text){reader->buffer, (size_t)got});
        offset += (size_t)got;
        sockets.cut = offset > SOCKETS_BYTES_MAX;
    }
    *ret_sockets = sockets;
    return 0;
}
