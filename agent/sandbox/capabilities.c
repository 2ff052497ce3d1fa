/*
 * Capabilities by the system calls themselves (capget(2), prctl(2)); only the calling thread is
 * concerned, so this comes before there are others.
 */
#include "agent/sandbox/layers.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HALF_BITS 32
#define LAST_MAX  63 /* the sets have 64 bits; the kernel refuses what it does not know */

static const char *const names[] = {
    [CAP_CHOWN] = "CAP_CHOWN",
    [CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
    [CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
    [CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
    [CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
};

static void name_kept(uint64_t kept, char why[TLY_LAYER_WHY_MAX])
{
    size_t len = (size_t)snprintf(why, TLY_LAYER_WHY_MAX, "%s", kept == 0 ? "none is kept" : "");
    for (size_t i = 0; i <= LAST_MAX; i++) {
        if ((kept >> i & 1) != 0 && len < TLY_LAYER_WHY_MAX) {
            const char *name = i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
            int more = name != NULL ? snprintf(why + len, TLY_LAYER_WHY_MAX - len, "%s%s",
                                               len > 0 ? " " : "", name)
                                    : snprintf(why + len, TLY_LAYER_WHY_MAX - len, "%s%zu",
                                               len > 0 ? " " : "", i);
            len += (size_t)more;
        }
    }
}

int tly_layer_capabilities(uint64_t keep, char why[TLY_LAYER_WHY_MAX])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, data) < 0) {
        return -errno;
    }
    /* While CAP_SETPCAP is in force; without it the set stays, and no_new_privs makes it void. */
    for (unsigned long i = 0; i <= LAST_MAX; i++) {
        if ((keep >> i & 1) == 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) {
            break;
        }
    }
    uint64_t kept = 0;
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t mask = (uint32_t)(keep >> (HALF_BITS * i));
        data[i].permitted &= mask;
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0; /* with it the ambient set is empty, too */
        kept |= (uint64_t)data[i].permitted << (HALF_BITS * i);
    }
    if (syscall(SYS_capset, &header, data) < 0) {
        if (errno != EPERM) {
            return -errno;
        }
        (void)snprintf(why, TLY_LAYER_WHY_MAX, /* fits */
                       "a filter of the service or container forbids it");
        return -ENOSYS;
    }
    name_kept(kept, why);
    return 0;
}

int tly_layer_no_dumps(void)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0) {
        return -errno;
    }
    return 0;
}

int tly_layer_no_new_privs(char why[TLY_LAYER_WHY_MAX])
{
    why[0] = '\0';
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
