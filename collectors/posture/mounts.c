/*
 * Reading mountinfo; see mounts.h. A line:
 *   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 */
#include "collectors/posture/mounts.h"

#include <stdio.h>
#include <string.h>

struct mount {
    struct tly_text point, options, type, super;
};

static bool has_option(struct tly_text options, const char *name)
{
    struct tly_text wanted = tly_text_of(name);
    while (options.at && options.len > 0) {
        if (tly_text_equal(tly_text_cut(&options, ','), wanted)) {
            return true;
        }
    }
    return false;
}

static bool parse(struct tly_text line, struct mount *mount)
{
    struct tly_text words[6];
    for (size_t i = 0; i < 6; i++) {
        if (!line.at) {
            return false;
        }
        words[i] = tly_text_cut(&line, ' ');
    }
    struct tly_text word = {"", 0};
    while (line.at && !tly_text_equal(word, TLY_TEXT("-"))) {
        word = tly_text_cut(&line, ' ');
    }
    if (!line.at) {
        return false;
    }
    mount->point = words[4];
    mount->options = words[5];
    mount->type = tly_text_cut(&line, ' ');
    if (line.at) {
        (void)tly_text_cut(&line, ' '); /* the source, which may be empty */
    }
    mount->super = line.at ? line : (struct tly_text){"", 0};
    return mount->point.len > 0;
}

static bool is_below(struct tly_text path, const char *folder)
{
    struct tly_text start = tly_text_of(folder);
    return tly_text_starts(path, start) && (path.len == start.len || path.at[start.len] == '/');
}

/* What the engine itself mounts into each container. */
static bool is_engines_own(struct tly_text point)
{
    static const char *const points[] = {"/proc",         "/sys",      "/dev", "/etc/resolv.conf",
                                         "/etc/hostname", "/etc/hosts"};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        if (is_below(point, points[i])) {
            return true;
        }
    }
    return false;
}

/* File systems of another host, or of a process that may be stuck. */
static bool is_remote(struct tly_text type)
{
    static const char *const types[] = {"nfs*",    "cifs", "smb*",   "9p",       "ceph",
                                        "fuse*",   "afs",  "lustre", "gfs2",     "ocfs2",
                                        "beegfs*", "gpfs", "coda",   "orangefs", "autofs"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (tly_text_glob(tly_text_of(types[i]), type)) {
            return true;
        }
    }
    return false;
}

static void judge(const struct mount *mount, struct tly_process_facts *facts)
{
    bool read_only = has_option(mount->options, "ro");
    bool tmpfs = tly_text_equal(mount->type, TLY_TEXT("tmpfs"));
    bool suid = !has_option(mount->options, "nosuid");
    bool dev = !has_option(mount->options, "nodev");
    if (tly_text_equal(mount->point, TLY_TEXT("/"))) {
        facts->root_read_only = read_only || has_option(mount->super, "ro");
        return;
    }
    if (is_remote(mount->type)) {
        tly_names_push(&facts->remote_mounts, mount->point);
    }
    if (is_below(mount->point, "/sys/fs/cgroup")) {
        /* With cgroup v1 there is a mount for each controller, all alike. */
        if (tly_text_starts(mount->type, TLY_TEXT("cgroup"))) {
            facts->cgroups_writable = facts->cgroups_writable == 1 || !read_only;
        }
        return;
    }
    if (is_engines_own(mount->point) || read_only) {
        return;
    }
    if (tmpfs) {
        struct tly_text size = mount->super;
        bool sized = size.len > 0 && memmem(size.at, size.len, "size=", 5);
        if (suid || dev || !has_option(mount->options, "noexec") || !sized) {
            tly_names_push(&facts->loose_tmpfs, mount->point);
        }
    } else if (suid || dev) {
        tly_names_push(&facts->loose_mounts, mount->point);
    }
}

void tly_mounts_judge(struct tly_text mountinfo, struct tly_process_facts *facts)
{
    facts->root_read_only = facts->cgroups_writable = -1;
    while (mountinfo.at && mountinfo.len > 0) {
        struct mount mount;
        if (parse(tly_text_cut(&mountinfo, '\n'), &mount)) {
            judge(&mount, facts);
        }
    }
}
