/*
 * The floor of forwarding: reads files in large blocks and writes as many bytes to a TCP socket,
 * which somebody reads. What carries log files to a receiver can hardly cost less CPU time than
 * this. Prints the CPU time in nanoseconds.
 *
 * usage: forward_floor PORT FILE...
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES (1 << 20)
#define NS_PER_S    1000000000

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
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

static void carry(const char *path, int sock)
{
    static char block[BLOCK_BYTES];
    ssize_t count;
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        die(path);
    }
    while ((count = read(from, block, sizeof(block))) > 0) {
        write_all(sock, block, (size_t)count);
    }
    if (count < 0 || close(from) < 0) {
        die(path);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: forward_floor PORT FILE...\n");
        return EXIT_FAILURE;
    }
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0 || connect(sock, (const struct sockaddr *)&to, sizeof(to)) < 0) {
        die("connect");
    }
    for (int i = 2; i < argc; i++) {
        carry(argv[i], sock);
    }
    struct timespec cpu;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) < 0) {
        die("clock");
    }
    (void)printf("%" PRId64 "\n", (int64_t)cpu.tv_sec * NS_PER_S + cpu.tv_nsec);
    return EXIT_SUCCESS;
}
