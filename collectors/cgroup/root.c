/*
 * Finding the cgroup v2 tree. Hosts in transition have it beside the trees of cgroup v1.
 */
#include "collectors/cgroup/root.h"

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/codec/cgroup_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

int tly_cgroup_root_find(const char *configured, const char *proc, struct tly_buf *buf,
                         char **ret_root)
{
    char path[PATH_MAX];
    if (configured == NULL) {
        int len = snprintf(path, sizeof(path), "%s/self/mountinfo", proc);
        if (len >= (int)sizeof(path)) {
            return -ENAMETOOLONG;
        }
        tly_buf_clear(buf);
        int rc = tly_file_read(AT_FDCWD, path, buf);
        rc = rc < 0 ? rc : tly_cgroup_mount_find(tly_buf_text(buf), path, sizeof(path));
        if (rc < 0) {
            return rc;
        }
    }
    *ret_root = tly_text_dup(tly_text_of(configured != NULL ? configured : path));
    return *ret_root == NULL ? -ENOMEM : 0;
}
