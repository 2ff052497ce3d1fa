/*
 * Looking at one process after the other for what is suspicious in it: a known miner, an executable
 * that was removed, one that came into the container after its start. Part of the walk through a
 * container's processes (tasks.h).
 */
#ifndef TLY_COLLECTORS_CGROUP_SUSPECTS_H
#define TLY_COLLECTORS_CGROUP_SUSPECTS_H

#include "agent/base/buf.h"
#include "agent/model/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More processes of one container with programs that came later are not told one by one. */
#define TLY_LATE_MAX 256

/*
 * What tells a container's own programs from those that came later. Of a file in an image only its
 * inode matters: whatever is written, unpacked or made executable in a writable layer gets the time
 * of that as its change time (st_ctime, inode(7)), which nobody can set, whereas files of the
 * layers below keep the one at which the image was unpacked.
 */
struct tly_image_root {
    bool known;
    uint32_t major, minor; /* of the file system that is its root */
    uint64_t mount;        /* STATX_MNT_ID of it; 0: the kernel does not tell (before 5.8) */
    int64_t since_ns;      /* realtime: when its first process began; 0: unknown */
    int64_t told_ns;       /* the inventory's word from which that was made */
};

/* How many processes; -1: not known, because procfs does not show all of them. */
struct tly_suspects {
    int64_t miners;
    int64_t deleted;
    int64_t late; /* of those in late_pids that still were there after the walk */
    int64_t late_pids[TLY_LATE_MAX];
    size_t late_count;
};

/* Looks up the root of the process `pid`, the first one of a container. The times stay. */
void tly_image_root_look(struct tly_image_root *root, int proc_fd, int64_t pid);

/*
 * Since when a container runs: by the start of its first process, which comes before anything that
 * the container itself writes. `told_ns` is the inventory's word, 0 or less without one: the
 * engine's, or that of the cgroup tree where no engine tells it. It was written down at that time,
 * as the change times of files were, and stands where the other is far from it, since then the
 * clock was set or the first process is not the first any more. Realtime; 0: neither.
 */
int64_t tly_image_since(int64_t process_ns, int64_t told_ns);

/* Looks at one more. One that has ended counts nowhere. `text` is for reading. */
void tly_suspects_look(struct tly_suspects *suspects, const struct tly_image_root *root,
                       int proc_fd, int64_t pid, struct tly_buf *text);

void tly_suspects_write(const struct tly_suspects *suspects, struct tly_samples *samples);

#endif
