/*
 * The lists. Names are those of the miners that are found in containers, and of the malware that
 * brings them along; a pool is recognised by the scheme of its address, whatever the program.
 */
#include "agent/codec/suspect.h"

#include <string.h>

/* comm has no more (TASK_COMM_LEN). */
#define COMM_BYTES_MAX 15

static const char *const miners[] = {
    "xmrig",          "xmrigDaemon",  "xmrigMiner", "xmr-stak",      "xmr-stak-cpu", "minerd",
    "minergate",      "cpuminer",     "ccminer",    "cgminer",       "bfgminer",     "ethminer",
    "nbminer",        "t-rex",        "lolMiner",   "PhoenixMiner",  "nanominer",    "srbminer",
    "SRBMiner-MULTI", "teamredminer", "gminer",     "wildrig",       "moneroocean",  "kinsing",
    "kdevtmpfsi",     "cryptonight",  "randomx",    "minergate-cli",
};

static const char *const pool_schemes[] = {
    "stratum+tcp://",  "stratum2+tcp://", "stratum+ssl://", "stratum+tls://",
    "stratum1+tcp://", "stratum+http://", "daemon+http://", "ethproxy+tcp://",
};

/* Ports that pools have told their users for years. Those that others use as well, such as 8080 or
 * 8333, are left out. */
static const uint16_t pool_ports[] = {
    3333, 3334, 3335, 3336, 3357,  4444,  5555,  5556,
    5588, 5730, 6666, 7777, 14433, 14444, 45560, 45700,
};

static struct tly_text base_name(struct tly_text path)
{
    const char *slash = path.len > 0 ? memrchr(path.at, '/', path.len) : NULL;
    if (!slash) {
        return path;
    }
    return (struct tly_text){slash + 1, path.len - (size_t)(slash + 1 - path.at)};
}

static bool is_miners_name(struct tly_text name)
{
    for (size_t i = 0; i < sizeof(miners) / sizeof(miners[0]); i++) {
        struct tly_text miner = tly_text_of(miners[i]);
        struct tly_text cut = {miner.at, miner.len < COMM_BYTES_MAX ? miner.len : COMM_BYTES_MAX};
        if (tly_text_equal(name, miner) || tly_text_equal(name, cut)) {
            return true;
        }
    }
    return false;
}

bool tly_suspect_is_miner(struct tly_text comm, struct tly_text cmdline)
{
    const char *end = cmdline.len > 0 ? memchr(cmdline.at, '\0', cmdline.len) : NULL;
    struct tly_text program = {cmdline.at, end ? (size_t)(end - cmdline.at) : cmdline.len};
    if (is_miners_name(comm) || is_miners_name(base_name(program))) {
        return true;
    }
    for (size_t i = 0; i < sizeof(pool_schemes) / sizeof(pool_schemes[0]); i++) {
        if (cmdline.len > 0 &&
            memmem(cmdline.at, cmdline.len, pool_schemes[i], strlen(pool_schemes[i]))) {
            return true;
        }
    }
    return false;
}

bool tly_suspect_is_pool_port(int64_t port)
{
    for (size_t i = 0; i < sizeof(pool_ports) / sizeof(pool_ports[0]); i++) {
        if (pool_ports[i] == port) {
            return true;
        }
    }
    return false;
}

bool tly_suspect_is_deleted(struct tly_text exe)
{
    return tly_suspect_is_memory(exe) || tly_text_ends(exe, TLY_TEXT(" (deleted)"));
}

bool tly_suspect_is_memory(struct tly_text exe)
{
    return tly_text_starts(exe, TLY_TEXT("/memfd:"));
}
