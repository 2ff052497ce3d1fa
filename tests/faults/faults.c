/*
 * A library to be preloaded: it stands before the C library's calls for memory, files, sockets,
 * names and time, and makes them fail as the harness asks (tests/faults/run.py). Each call is known
 * by the stack that leads to it, so that the harness can say how many places have failed, and make
 * the same ones fail again. The program is started without address randomisation, so that a stack
 * is the same in each run.
 *
 * Not for the descriptors 0 to 2, and not before the library has been set up.
 */
#undef _FILE_OFFSET_BITS /* both names of each call are to be had */

#include "tests/faults/faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind {
    MEMORY,
    OPEN,
    READ,
    WRITE,
    SYNC,
    RENAME,
    STAT,
    FOLDER,
    SOCKET,
    CONNECT,
    ACCEPT,
    SEND,
    RECEIVE,
    WATCH,
    HANDLE, /* descriptors that stand for no file: epoll, eventfd, timerfd, inotify, pipes */
    NAMES,  /* getaddrinfo */
    SIGNAL, /* reading and writing of descriptors that stand for no file: only a signal ends those
             */
    KINDS
};

/* What each kind may fail with; ends in 0. A file that is not there, or bytes that a disk has lost,
 * are no faults of a call but facts, of which the agent is right to believe them. */
static const int errors[KINDS][8] = {
    [MEMORY] = {ENOMEM},
    [OPEN] = {EMFILE, ENFILE, ENOMEM, EACCES, EIO, EINTR},
    [READ] = {EINTR, ENOMEM},
    [WRITE] = {ENOSPC, EIO, EDQUOT, EINTR},
    [SYNC] = {EIO, ENOSPC},
    [RENAME] = {EACCES, EROFS, ENOSPC, EIO},
    [STAT] = {ENOMEM, EIO, EACCES},
    [FOLDER] = {EMFILE, ENOMEM, EACCES},
    [SOCKET] = {EMFILE, ENFILE, ENOBUFS},
    [CONNECT] = {ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL},
    [ACCEPT] = {EMFILE, ECONNABORTED, ENOMEM, EINTR},
    [SEND] = {EPIPE, ECONNRESET, ENOBUFS, EINTR, EAGAIN},
    [RECEIVE] = {ECONNRESET, ETIMEDOUT, EINTR, EAGAIN},
    [WATCH] = {ENOSPC, ENOMEM, EACCES},
    [HANDLE] = {EMFILE, ENFILE, ENOMEM},
    [SIGNAL] = {EINTR},
    [NAMES] = {EAI_AGAIN, EAI_MEMORY, EAI_FAIL, EAI_SYSTEM},
};

static struct faults_shared *shared; /* NULL: nothing fails */
static __thread bool inside __attribute__((tls_model("initial-exec")));
static pthread_spinlock_t lock;

#define REAL(name) real_##name
#define RESOLVE(name)                                                                              \
    do {                                                                                           \
        if (!REAL(name)) {                                                                         \
            REAL(name) = (__typeof__(REAL(name)))dlsym(RTLD_NEXT, #name);                          \
        }                                                                                          \
    } while (0)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *at);

/* Libraries that end the program where memory is out, or fall over it; nobody can help that. libuv
 * does so where its table of descriptors cannot grow, GMP always, libtasn1 in nearly all places. */
static struct fragile {
    const char *name;
    bool all; /* not only realloc() */
    uint64_t from, to;
} fragiles[] = {{.name = "libuv"},
                {.name = "libgmp", .all = true},
                {.name = "libhogweed", .all = true},
                {.name = "libtasn1", .all = true}};
#define FRAGILES       (sizeof(fragiles) / sizeof(fragiles[0]))
#define FRAGILE_FRAMES 4

static bool is_fragile(const void *caller, bool growing)
{
    for (size_t i = 0; i < FRAGILES; i++) {
        if ((fragiles[i].all || growing) && (uint64_t)caller >= fragiles[i].from &&
            (uint64_t)caller < fragiles[i].to) {
            return true;
        }
    }
    return false;
}

/* Whether one of them is among the nearest callers: GMP allocates by functions of GnuTLS. */
static bool has_fragile(void *const *frames, int count)
{
    bool has = false;
    for (int i = 0; i < count && i < FRAGILE_FRAMES; i++) {
        has = has || is_fragile(frames[i], false);
    }
    return has;
}

/* ---- points ---- */

static uint64_t mix(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return value ^ (value >> 33);
}

/* The slot of this point, made if there is none; NULL: no room. Under the lock. */
static struct faults_point *find(uint64_t hash, enum kind kind, int error, void *const *frames,
                                 int count)
{
    for (uint32_t step = 0; step < FAULTS_POINTS_MAX; step++) {
        struct faults_point *point = &shared->points[(hash + step) % FAULTS_POINTS_MAX];
        if (point->hash == hash) {
            return point;
        }
        if (point->hash != 0) {
            continue;
        }
        if (shared->point_count >= FAULTS_POINTS_MAX / 2) {
            break;
        }
        point->hash = hash;
        point->kind = (uint32_t)kind;
        point->error = error;
        for (int i = 0; i < count && i < FAULTS_FRAMES_MAX; i++) {
            point->frames[i] = (uint64_t)frames[i];
        }
        shared->point_count++;
        return point;
    }
    shared->overflow++;
    return NULL;
}

static bool chosen(struct faults_point *point)
{
    point->seen++;
    switch (shared->mode) {
    case FAULTS_NEW:
        shared->seed = shared->seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return point->failed == 0 && shared->budget > 0 &&
               (shared->seed >> 33) % 1000000 < shared->chance;
    case FAULTS_REPLAY:
        return point->marked && shared->budget > 0;
    default:
        return false;
    }
}

/* The frames from the caller of the call on; the library's own are the first. */
#define OWN_FRAMES 2

/* 0, or the error with which the call is to fail. */
static __attribute__((noinline)) int fault(enum kind kind)
{
    if (!shared || inside || shared->mode == FAULTS_OFF || !(shared->kinds >> kind & 1)) {
        return 0;
    }
    if (shared->mode == FAULTS_ALL && kind != MEMORY) {
        __atomic_add_fetch(&shared->injected, 1, __ATOMIC_RELAXED);
        return shared->error;
    }
    inside = true;
    void *frames[FAULTS_FRAMES_MAX + OWN_FRAMES];
    int count = backtrace(frames, FAULTS_FRAMES_MAX + OWN_FRAMES) - OWN_FRAMES;
    int result = 0;
    if (kind == MEMORY && has_fragile(frames + OWN_FRAMES, count)) {
        count = 0;
    }
    if (shared->mode == FAULTS_ALL) {
        inside = false;
        __atomic_add_fetch(&shared->injected, count > 0, __ATOMIC_RELAXED);
        return count > 0 ? shared->error : 0;
    }
    uint64_t stack = mix((uint64_t)kind + 1);
    for (int i = 0; i < count; i++) {
        stack = mix(stack ^ (uint64_t)frames[i + OWN_FRAMES]);
    }
    pthread_spin_lock(&lock);
    for (size_t i = 0; count > 0 && result == 0 && errors[kind][i] != 0; i++) {
        uint64_t hash = mix(stack + (uint64_t)errors[kind][i]) | 1;
        struct faults_point *point = find(hash, kind, errors[kind][i], frames + OWN_FRAMES, count);
        if (point && chosen(point)) {
            point->run = point->failed == 0 ? shared->run : point->run;
            point->failed++;
            point->marked = 0;
            shared->budget--;
            shared->injected++;
            result = errors[kind][i];
        }
    }
    pthread_spin_unlock(&lock);
    inside = false;
    return result;
}

/* ---- leaks ---- */

/* Every block that lives, by its address, with the stack that made it. */
#define BLOCKS_MAX   (1U << 20)
#define BLOCK_FRAMES 10
static struct block {
    void *at; /* NULL: never used; 1: used and free again */
    void *frames[BLOCK_FRAMES];
} * blocks;
static bool counting;

static __attribute__((noinline)) void block_add(void *at)
{
    if (!counting || inside || !at) {
        return;
    }
    inside = true;
    void *frames[BLOCK_FRAMES + OWN_FRAMES] = {NULL};
    (void)backtrace(frames, BLOCK_FRAMES + OWN_FRAMES);
    pthread_spin_lock(&lock);
    for (uint32_t i = 0; i < BLOCKS_MAX; i++) {
        struct block *block = &blocks[(mix((uint64_t)at) + i) % BLOCKS_MAX];
        if (!block->at || block->at == (void *)1) {
            block->at = at;
            memcpy(block->frames, frames + OWN_FRAMES, sizeof(block->frames));
            break;
        }
    }
    pthread_spin_unlock(&lock);
    inside = false;
}

static void block_remove(const void *at)
{
    if (!counting || !at) {
        return;
    }
    pthread_spin_lock(&lock);
    for (uint32_t i = 0; i < BLOCKS_MAX; i++) {
        struct block *block = &blocks[(mix((uint64_t)at) + i) % BLOCKS_MAX];
        if (block->at == at) {
            block->at = (void *)1;
            break;
        }
        if (!block->at) {
            break;
        }
    }
    pthread_spin_unlock(&lock);
}

/* A line for each, with its stack. */
static void write_blocks(const char *path)
{
    FILE *file = fopen(path, "w");
    for (uint32_t i = 0; file && i < BLOCKS_MAX; i++) {
        if (blocks[i].at && blocks[i].at != (void *)1) {
            for (int k = 0; k < BLOCK_FRAMES && blocks[i].frames[k]; k++) {
                (void)fprintf(file, "%s%p", k > 0 ? " " : "", blocks[i].frames[k]);
            }
            (void)fprintf(file, "\n");
        }
    }
    if (file) {
        (void)fclose(file);
    }
}

/* ---- life ---- */

/* An end that nobody asked for says where it came from. */
static void say_stack(const char *what)
{
    void *frames[32];
    inside = true;
    if (shared) {
        shared->mode = FAULTS_OFF;
    }
    (void)!write(STDERR_FILENO, what, strlen(what));
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
}

static void crashed(int signum)
{
    say_stack("faults: the program crashed at\n");
    (void)signal(signum, SIG_DFL);
    (void)raise(signum);
}

static void (*real_abort)(void);
void abort(void)
{
    RESOLVE(abort);
    say_stack("faults: the program aborted at\n");
    real_abort();
    _exit(98);
}

static int note_text(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    bool *first = arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uint64_t from = info->dlpi_addr;
        uint64_t to = from + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X)) {
            continue;
        }
        if (*first) { /* the program itself */
            shared->text_from = from;
            shared->text_to = to;
        }
        for (size_t k = 0; k < FRAGILES; k++) {
            if (strstr(info->dlpi_name, fragiles[k].name)) {
                fragiles[k].from = from;
                fragiles[k].to = to;
            }
        }
    }
    *first = false;
    return 0;
}

static __attribute__((constructor)) void begin(void)
{
    const char *path = getenv("TLY_FAULTS");
    pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
    void *frames[2];
    (void)backtrace(frames, 2); /* loads what it needs */
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *at = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at == MAP_FAILED || ((struct faults_shared *)at)->magic != FAULTS_MAGIC) {
        (void)fprintf(stderr, "faults: %s is no file of the harness\n", path);
        _exit(99);
    }
    if (getenv("TLY_FAULTS_BLOCKS")) {
        blocks = mmap(NULL, BLOCKS_MAX * sizeof(*blocks), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        counting = blocks != MAP_FAILED;
    }
    tzset(); /* which keeps memory for good */
    (void)signal(SIGSEGV, crashed);
    (void)signal(SIGBUS, crashed);
    (void)signal(SIGABRT, crashed); /* the C library ends what has spoilt its memory */
    shared = at;
    bool first = true;
    (void)dl_iterate_phdr(note_text, &first);
}

static __attribute__((destructor)) void end(void)
{
    const char *path = getenv("TLY_FAULTS_BLOCKS");
    if (counting && path) {
        counting = false;
        shared->mode = FAULTS_OFF;
        write_blocks(path);
    }
}

/* ---- memory ---- */

void *malloc(size_t size)
{
    if (fault(MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    void *at = __libc_malloc(size);
    block_add(at);
    return at;
}

void *calloc(size_t count, size_t size)
{
    if (fault(MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    void *at = __libc_calloc(count, size);
    block_add(at);
    return at;
}

void *realloc(void *old, size_t size)
{
    if (!is_fragile(__builtin_return_address(0), true) && fault(MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    block_remove(old);
    void *at = __libc_realloc(old, size);
    if (at || size == 0) {
        block_add(at);
    } else {
        block_add(old);
    }
    return at;
}

int posix_memalign(void **ret_at, size_t alignment, size_t size)
{
    if (fault(MEMORY)) {
        return ENOMEM;
    }
    *ret_at = __libc_memalign(alignment, size);
    block_add(*ret_at);
    return *ret_at ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    if (fault(MEMORY)) {
        errno = ENOMEM;
        return NULL;
    }
    void *at = __libc_memalign(alignment, size);
    block_add(at);
    return at;
}

void free(void *at)
{
    block_remove(at);
    __libc_free(at);
}

/* ---- files, sockets and the rest ---- */

/* `result name(parameters)` that fails as `kind` with -1 and errno. */
#define CALL(kind, result, name, parameters, arguments)                                            \
    static result(*REAL(name)) parameters;                                                         \
    result name parameters                                                                         \
    {                                                                                              \
        RESOLVE(name);                                                                             \
        int error = fault(kind);                                                                   \
        if (error) {                                                                               \
            errno = error;                                                                         \
            return (result)-1;                                                                     \
        }                                                                                          \
        return REAL(name) arguments;                                                               \
    }

/* A transfer by descriptor is of the kind of what that stands for. */
static int (*real_fstat)(int fd, struct stat *to);
static enum kind kind_of(int fd, enum kind file, enum kind connection)
{
    struct stat st;
    RESOLVE(fstat);
    if (real_fstat(fd, &st) < 0 || S_ISREG(st.st_mode)) {
        return file;
    }
    return S_ISSOCK(st.st_mode) ? connection : SIGNAL;
}

static inline __attribute__((always_inline)) int fault_transfer(int fd, enum kind file,
                                                                enum kind connection)
{
    int saved = errno;
    bool idle = fd <= 2 || !shared || inside || shared->mode == FAULTS_OFF;
    int error = idle ? 0 : fault(kind_of(fd, file, connection));
    errno = saved;
    return error;
}

/* The same of a descriptor that may be the process's own output. */
#define CALL_FD(kind, connection, result, name, parameters, arguments)                             \
    static result(*REAL(name)) parameters;                                                         \
    result name parameters                                                                         \
    {                                                                                              \
        RESOLVE(name);                                                                             \
        int error = fault_transfer(fd, kind, connection);                                          \
        if (error) {                                                                               \
            errno = error;                                                                         \
            return (result)-1;                                                                     \
        }                                                                                          \
        return REAL(name) arguments;                                                               \
    }

static int (*real_open)(const char *path, int flags, ...);
static int (*real_openat)(int dir, const char *path, int flags, ...);

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN_CALL(name)                                                                            \
    int name(const char *path, int flags, ...);                                                    \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        RESOLVE(open);                                                                             \
        int error = fault(OPEN);                                                                   \
        if (error) {                                                                               \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        return real_open(path, flags, mode);                                                       \
    }
#define OPENAT_CALL(name)                                                                          \
    int name(int dir, const char *path, int flags, ...);                                           \
    int name(int dir, const char *path, int flags, ...)                                            \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_of(flags, args);                                                        \
        va_end(args);                                                                              \
        RESOLVE(openat);                                                                           \
        int error = fault(OPEN);                                                                   \
        if (error) {                                                                               \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        return real_openat(dir, path, flags, mode);                                                \
    }
OPEN_CALL(open)
OPEN_CALL(open64)
OPENAT_CALL(openat)
OPENAT_CALL(openat64)

CALL_FD(READ, RECEIVE, ssize_t, read, (int fd, void *to, size_t len), (fd, to, len))
CALL_FD(READ, RECEIVE, ssize_t, pread, (int fd, void *to, size_t len, off_t at), (fd, to, len, at))
CALL_FD(READ, RECEIVE, ssize_t, pread64, (int fd, void *to, size_t len, off64_t at),
        (fd, to, len, at))
CALL_FD(WRITE, SEND, ssize_t, write, (int fd, const void *from, size_t len), (fd, from, len))
CALL_FD(WRITE, SEND, ssize_t, pwrite, (int fd, const void *from, size_t len, off_t at),
        (fd, from, len, at))
CALL_FD(WRITE, SEND, ssize_t, pwrite64, (int fd, const void *from, size_t len, off64_t at),
        (fd, from, len, at))
CALL_FD(WRITE, SEND, ssize_t, writev, (int fd, const struct iovec *parts, int count),
        (fd, parts, count))
CALL(SYNC, int, fsync, (int fd), (fd))
CALL(SYNC, int, fdatasync, (int fd), (fd))
CALL(RENAME, int, ftruncate, (int fd, off_t len), (fd, len))
CALL(RENAME, int, ftruncate64, (int fd, off64_t len), (fd, len))
CALL(RENAME, int, rename, (const char *from, const char *to), (from, to))
CALL(RENAME, int, renameat, (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to))
CALL(RENAME, int, unlink, (const char *path), (path))
CALL(RENAME, int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
CALL(RENAME, int, mkdir, (const char *path, mode_t mode), (path, mode))
CALL(RENAME, int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
int fstat(int fd, struct stat *to)
{
    RESOLVE(fstat);
    int error = fault(STAT);
    if (error) {
        errno = error;
        return -1;
    }
    return real_fstat(fd, to);
}
CALL(STAT, int, stat, (const char *path, struct stat *to), (path, to))
CALL(STAT, int, fstatat, (int dir, const char *path, struct stat *to, int flags),
     (dir, path, to, flags))
CALL(STAT, int, fstat64, (int fd, struct stat64 *to), (fd, to))
CALL(STAT, int, stat64, (const char *path, struct stat64 *to), (path, to))
CALL(STAT, int, fstatat64, (int dir, const char *path, struct stat64 *to, int flags),
     (dir, path, to, flags))
CALL(STAT, int, statvfs, (const char *path, struct statvfs *to), (path, to))
CALL(STAT, ssize_t, readlink, (const char *path, char *to, size_t len), (path, to, len))
CALL(STAT, ssize_t, readlinkat, (int dir, const char *path, char *to, size_t len),
     (dir, path, to, len))
CALL(SOCKET, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
CALL(CONNECT, int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len))
CALL(ACCEPT, int, accept, (int fd, struct sockaddr *from, socklen_t *len), (fd, from, len))
CALL(ACCEPT, int, accept4, (int fd, struct sockaddr *from, socklen_t *len, int flags),
     (fd, from, len, flags))
CALL(SEND, ssize_t, send, (int fd, const void *from, size_t len, int flags), (fd, from, len, flags))
CALL(SEND, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
     (fd, message, flags))
CALL(RECEIVE, ssize_t, recv, (int fd, void *to, size_t len, int flags), (fd, to, len, flags))
CALL(RECEIVE, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
CALL(SOCKET, int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len))
CALL(WATCH, int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
CALL(HANDLE, int, inotify_init1, (int flags), (flags))
CALL(HANDLE, int, epoll_create1, (int flags), (flags))
CALL(HANDLE, int, eventfd, (unsigned value, int flags), (value, flags))
CALL(HANDLE, int, timerfd_create, (int clock, int flags), (clock, flags))
CALL(HANDLE, int, pipe2, (int fds[2], int flags), (fds, flags))
CALL(HANDLE, int, dup, (int fd), (fd))

static DIR *(*real_opendir)(const char *path);
DIR *opendir(const char *path)
{
    RESOLVE(opendir);
    int error = fault(FOLDER);
    if (error) {
        errno = error;
        return NULL;
    }
    return real_opendir(path);
}

static DIR *(*real_fdopendir)(int fd);
DIR *fdopendir(int fd)
{
    RESOLVE(fdopendir);
    int error = fault(FOLDER);
    if (error) {
        errno = error;
        return NULL;
    }
    return real_fdopendir(fd);
}

static int (*real_getaddrinfo)(const char *host, const char *service, const struct addrinfo *hints,
                               struct addrinfo **ret_found);
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_found)
{
    RESOLVE(getaddrinfo);
    int error = fault(NAMES);
    if (error) {
        errno = EIO;
        return error;
    }
    return real_getaddrinfo(host, service, hints, ret_found);
}

/* ---- time ---- */

static int (*real_clock_gettime)(clockid_t clock, struct timespec *to);
int clock_gettime(clockid_t clock, struct timespec *to)
{
    RESOLVE(clock_gettime);
    int rc = real_clock_gettime(clock, to);
    if (rc == 0 && shared && shared->clock_ns != 0 &&
        (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = (int64_t)to->tv_sec * 1000000000 + to->tv_nsec + shared->clock_ns;
        to->tv_sec = (time_t)(ns / 1000000000);
        to->tv_nsec = (long)(ns % 1000000000);
    }
    return rc;
}
