/*
 * The table of rights, and the one look at them. `tallyman run` calls it once.
 */
#include "agent/rights.h"

#include "agent/base/file.h"
#include "agent/loop/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WHO              "rights"
#define STATUS_BYTES_MAX 65536 /* some kernels list every CPU in it */
#define HEX_DIGITS_MAX   16
#define RIGHTS_MAX       8
#define HEX_BITS         4

#define BIT(capability) (UINT64_C(1) << (capability))

const struct tly_right tly_rights[] = {
    {"CAP_DAC_READ_SEARCH", BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_DAC_OVERRIDE),
     BIT(CAP_DAC_READ_SEARCH), false,
     "log files of containers and Docker's files on disk, which belong to root, cannot be read"},
    {"CAP_SYS_PTRACE", BIT(CAP_SYS_PTRACE), BIT(CAP_SYS_PTRACE), true,
     "descriptors and sockets of other users' processes are not counted, and which containers "
     "share "
     "a network is known from Docker's description alone"},
};
const size_t tly_right_count = sizeof(tly_rights) / sizeof(tly_rights[0]);

static int parse_hex(struct tly_text text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (text.len == 0 || text.len > HEX_DIGITS_MAX) {
        return TLY_E_MALFORMED;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit > 15) {
            return TLY_E_MALFORMED;
        }
        number = number << HEX_BITS | digit;
    }
    *ret_number = number;
    return 0;
}

int tly_rights_parse(struct tly_text status, uint64_t *ret_effective)
{
    while (status.at != NULL) {
        struct tly_text line = tly_text_cut(&status, '\n');
        struct tly_text key = tly_text_cut(&line, ':');
        if (line.at != NULL && tly_text_equal(key, TLY_TEXT("CapEff"))) {
            return parse_hex(tly_text_trim(line), ret_effective);
        }
    }
    return TLY_E_MALFORMED;
}

void tly_rights_raise(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    uint64_t wanted = 0;
    if (syscall(SYS_capget, &header, data) < 0) {
        return;
    }
    for (size_t i = 0; i < tly_right_count; i++) {
        wanted |= tly_rights[i].any;
    }
    data[0].effective |= data[0].permitted & (uint32_t)wanted;
    data[1].effective |= data[1].permitted & (uint32_t)(wanted >> 32);
    (void)syscall(SYS_capset, &header, data); /* what is in force then is looked at later */
}

uint64_t tly_rights_needed(bool looks)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    uint64_t needed = 0;
    if (syscall(SYS_capget, &header, data) < 0) {
        return 0;
    }
    const uint64_t permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    for (size_t i = 0; i < tly_right_count; i++) {
        const struct tly_right *right = &tly_rights[i];
        if (looks || !right->for_looking) {
            needed |= permitted & right->least ? right->least : permitted & right->any;
        }
    }
    return needed;
}

size_t tly_rights_missing(const struct tly_right **to, size_t max)
{
    struct tly_buf buf;
    tly_buf_init(&buf, STATUS_BYTES_MAX);
    uint64_t effective = 0;
    size_t count = 0;
    int rc = tly_file_read(AT_FDCWD, "/proc/self/status", &buf);
    if (rc == 0) {
        rc = tly_rights_parse(tly_buf_text(&buf), &effective);
    }
    tly_buf_done(&buf);
    for (size_t i = 0; rc == 0 && i < tly_right_count && count < max; i++) {
        if ((effective & tly_rights[i].any) == 0) {
            to[count++] = &tly_rights[i];
        }
    }
    return count;
}

static void say_alone(void)
{
    if (getpid() == 1) {
        tly_log_warn(WHO,
                     "the processes of containers are not seen, as the agent has a process "
                     "namespace of its own: no network numbers of them, no counts of processes, "
                     "and the audit does not know what the kernel enforces; in a container, run "
                     "the agent with --pid=host (Kubernetes: hostPID)");
    }
}

void tly_rights_say(void)
{
    const struct tly_right *missing[RIGHTS_MAX];
    size_t count = tly_rights_missing(missing, RIGHTS_MAX);
    say_alone();
    for (size_t i = 0; i < count; i++) {
        tly_log_warn(WHO,
                     "without %s %s; give the agent that capability (systemd: "
                     "AmbientCapabilities=, Docker: --cap-add), or run it as root",
                     missing[i]->name, missing[i]->lost);
    }
}
