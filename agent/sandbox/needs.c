/*
 * Collects needs, and compares them. Paths are resolved when they are added, as the kernel does
 * when a rule is made of them; it holds files by what they are and not by their names.
 */
#include "agent/sandbox/needs.h"

#include "agent/base/file.h"
#include "agent/base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_MAX 1024 /* of a configuration that names very many files */

void tly_needs_init(struct tly_needs *needs)
{
    *needs = (struct tly_needs){0};
}

void tly_needs_done(struct tly_needs *needs)
{
    for (size_t i = 0; i < needs->path_count; i++) {
        free(needs->paths[i].path);
    }
    free(needs->paths);
    *needs = (struct tly_needs){0};
}

/* ---- paths ---- */

/* Resolved as far as it is there: `/var/lib/none/x` is /var/lib. NULL without memory, and for what
 * can't be resolved at all. Owned by the caller. */
static char *resolve_nearest(const char *path)
{
    char *resolved = realpath(path, NULL);
    TLY_AUTO_FREE char *shorter = resolved != NULL ? NULL : strdup(path);
    while (resolved == NULL && shorter != NULL) {
        char *slash = strrchr(shorter, '/');
        if (slash == NULL) {
            return realpath(".", NULL);
        }
        slash[slash == shorter ? 1 : 0] = '\0';
        resolved = realpath(shorter, NULL);
        if (slash == shorter) {
            break;
        }
    }
    return resolved;
}

/* Takes the path. */
static void add(struct tly_needs *needs, char *path, unsigned access)
{
    if (path == NULL) {
        needs->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < needs->path_count; i++) {
        if (strcmp(needs->paths[i].path, path) == 0) {
            needs->paths[i].access |= access;
            free(path);
            return;
        }
    }
    struct tly_need_path *grown = needs->path_count == PATHS_MAX
                                      ? NULL
                                      : realloc(needs->paths,
                                                (needs->path_count + 1) * sizeof(*grown));
    if (grown == NULL) {
        free(path);
        needs->failed = -ENOMEM;
        return;
    }
    needs->paths = grown;
    needs->paths[needs->path_count++] = (struct tly_need_path){.path = path, .access = access};
}

/* A folder in which much else lies than what is needed. */
static bool is_broad(const char *path)
{
    static const char *const broad[] = {"/",    "/etc", "/root", "/home", "/var", "/run",  "/tmp",
                                        "/opt", "/srv", "/mnt",  "/boot", "/dev", "/media"};
    for (size_t i = 0; i < sizeof(broad) / sizeof(broad[0]); i++) {
        if (strcmp(path, broad[i]) == 0) {
            return true;
        }
    }
    /* Somebody's home. */
    const char *name = strncmp(path, "/home/", 6) == 0 ? path + 6 : NULL;
    return name != NULL && strchr(name, '/') == NULL;
}

static void add_nearest(struct tly_needs *needs, const char *path, unsigned access)
{
    struct stat status;
    char *resolved = resolve_nearest(path);
    if (resolved != NULL && is_broad(resolved) && stat(path, &status) < 0) {
        free(resolved);
        return;
    }
    add(needs, resolved, access);
}

/* The folder that holds `path`, as it is written. */
static void add_parent(struct tly_needs *needs, const char *path, unsigned access)
{
    const char *slash = strrchr(path, '/');
    TLY_AUTO_FREE char *folder = slash == NULL   ? strdup(".")
                                 : slash == path ? strdup("/")
                                                 : strndup(path, (size_t)(slash - path));
    TLY_AUTO_FREE char *resolved = folder != NULL ? resolve_nearest(folder) : NULL;
    if (resolved == NULL) {
        needs->failed = -ENOMEM;
    } else if (!is_broad(resolved)) {
        add(needs, strdup(resolved), access);
    }
}

void tly_needs_folder(struct tly_needs *needs, const char *path, unsigned access)
{
    add_nearest(needs, path, access);
}

void tly_needs_file(struct tly_needs *needs, const char *path)
{
    add_parent(needs, path, TLY_ACCESS_READ);
    TLY_AUTO_FREE char *resolved = realpath(path, NULL);
    if (resolved != NULL) {
        add(needs, strdup(resolved), TLY_ACCESS_READ);
        add_parent(needs, resolved, TLY_ACCESS_READ);
    }
}

void tly_needs_path(struct tly_needs *needs, const char *path)
{
    struct stat status;
    if (path == NULL || *path == '\0') {
        return;
    }
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        tly_needs_folder(needs, path, TLY_ACCESS_READ);
    } else {
        tly_needs_file(needs, path);
    }
}

void tly_needs_socket(struct tly_needs *needs, const char *path)
{
    const char *slash = strrchr(path, '/');
    TLY_AUTO_FREE char *folder = slash == NULL || slash == path
                                     ? strdup("/")
                                     : strndup(path, (size_t)(slash - path));
    if (folder == NULL) {
        needs->failed = -ENOMEM;
    } else {
        add(needs, resolve_nearest(folder), TLY_ACCESS_SOCKET);
    }
}

/* ---- ports ---- */

#define PORTS_PER_WORD 64

static void add_port(uint64_t ports[1024], uint16_t port)
{
    ports[port / PORTS_PER_WORD] |= UINT64_C(1) << (port % PORTS_PER_WORD);
}

void tly_needs_connect(struct tly_needs *needs, uint16_t port)
{
    add_port(needs->connect_ports, port);
}

void tly_needs_listen(struct tly_needs *needs, uint16_t port)
{
    add_port(needs->listen_ports, port);
}

bool tly_needs_has_port(const uint64_t ports[1024], uint16_t port)
{
    return (ports[port / PORTS_PER_WORD] >> (port % PORTS_PER_WORD) & 1) != 0;
}

/* ---- comparing ---- */

static bool lies_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strcmp(folder, "/") == 0 ||
           (strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/'));
}

/* `path` is resolved. */
static bool covered(const struct tly_needs *allowed, const char *path, unsigned access)
{
    unsigned found = 0;
    for (size_t i = 0; i < allowed->path_count; i++) {
        if (lies_below(path, allowed->paths[i].path)) {
            found |= allowed->paths[i].access;
        }
    }
    found |= found & TLY_ACCESS_WRITE ? TLY_ACCESS_READ : 0;
    return (found & access) == access;
}

bool tly_needs_cover(const struct tly_needs *allowed, const char *path, unsigned access)
{
    TLY_AUTO_FREE char *resolved = resolve_nearest(path);
    return resolved != NULL && covered(allowed, resolved, access);
}

static const char *access_text(unsigned access)
{
    return access & (TLY_ACCESS_WRITE | TLY_ACCESS_DEVICE) ? "written"
           : access & TLY_ACCESS_SOCKET                    ? "listened in"
                                                           : "read";
}

int tly_needs_within(const struct tly_needs *wanted, const struct tly_needs *allowed,
                     struct tly_error *err)
{
    for (size_t i = 0; i < wanted->path_count; i++) {
        const struct tly_need_path *path = &wanted->paths[i];
        if (!covered(allowed, path->path, path->access)) {
            return tly_error_set(err, -EACCES,
                                 "the sandbox does not let %.200s be %s, as the configuration at "
                                 "the start did not need it; start the agent anew",
                                 path->path, access_text(path->access));
        }
    }
    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        bool to = tly_needs_has_port(wanted->connect_ports, (uint16_t)port) &&
                  !tly_needs_has_port(allowed->connect_ports, (uint16_t)port);
        bool on = tly_needs_has_port(wanted->listen_ports, (uint16_t)port) &&
                  !tly_needs_has_port(allowed->listen_ports, (uint16_t)port);
        if (to || on) {
            return tly_error_set(err, -EACCES,
                                 "the sandbox does not let the agent %s port %u, as the "
                                 "configuration at the start did not need it; start the agent anew",
                                 to ? "connect to" : "listen on", port);
        }
    }
    if ((wanted->capabilities & ~allowed->capabilities) != 0 ||
        (wanted->looks_into_processes && !allowed->looks_into_processes)) {
        return tly_error_set(err, -EACCES,
                             "it needs rights that the agent gave up, as the configuration at the "
                             "start did not need them; start the agent anew");
    }
    return 0;
}
