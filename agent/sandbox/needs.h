/*
 * What the agent needs of the host with one configuration: files, ports, capabilities. Each module
 * adds its own; the sandbox allows that and nothing else, and a changed configuration is held
 * against what was allowed at the start, since a process can never take back what it gave up.
 */
#ifndef TLY_SANDBOX_NEEDS_H
#define TLY_SANDBOX_NEEDS_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is done below a path, or with a file itself. */
enum tly_access {
    TLY_ACCESS_READ = 1,   /* files are read, folders listed */
    TLY_ACCESS_WRITE = 2,  /* and files and folders made, written, renamed and removed */
    TLY_ACCESS_SOCKET = 4, /* Unix sockets are bound and removed */
    TLY_ACCESS_DEVICE = 8, /* the file itself is read and written, none is made */
};

struct tly_need_path {
    char *path; /* owned; absolute, without links where it could be resolved */
    unsigned access;
};

struct tly_needs {
    struct tly_need_path *paths; /* owned */
    size_t path_count;
    uint64_t connect_ports[1024], listen_ports[1024]; /* TCP; one bit for each */
    uint64_t capabilities;                            /* bits, capabilities(7) */
    /* Processes of others are looked into (/proc/<pid>/root, /proc/<pid>/fd …), which Landlock
     * forbids to whoever it binds, whatever paths are allowed. */
    bool looks_into_processes;
    int failed; /* 0, or -ENOMEM: what was added since is missing */
};

void tly_needs_init(struct tly_needs *needs);
void tly_needs_done(struct tly_needs *needs);

/*
 * A folder with all that is below it. One that is not there yet stands for the nearest that is
 * there, unless much else lies in that (/, /etc, /home …). Relative paths start from the working
 * directory.
 */
void tly_needs_folder(struct tly_needs *needs, const char *path, unsigned access);

/*
 * A file that is read, and read again after somebody replaced it, which makes it another file: so
 * the folder that it lies in comes with it, also the one that a link leads to. Folders that hold
 * much else (/etc, /root, /tmp …) do not: such a file can be written anew but not replaced.
 */
void tly_needs_file(struct tly_needs *needs, const char *path);

/* Either of the two, by what is there; NULL and "" are fine. */
void tly_needs_path(struct tly_needs *needs, const char *path);

/* Port 0: one that the kernel chooses, when listening. */
void tly_needs_connect(struct tly_needs *needs, uint16_t port);
void tly_needs_listen(struct tly_needs *needs, uint16_t port);

/* The folder of a Unix socket that the agent binds. */
void tly_needs_socket(struct tly_needs *needs, const char *path);

bool tly_needs_has_port(const uint64_t ports[1024], uint16_t port);

/* Whether something in `allowed` covers the path, which is resolved first, with all of `access`. */
bool tly_needs_cover(const struct tly_needs *allowed, const char *path, unsigned access);

/* Whether all of `wanted` is covered. Otherwise -EACCES, and `err` names the first that is not. */
int tly_needs_within(const struct tly_needs *wanted, const struct tly_needs *allowed,
                     struct tly_error *err) TLY_CHECK;

#endif
