/*
 * The chain of files. Its last one is the file being written, as far as we know; everything before
 * it is final, or will be in a moment. Whether the name still means the last one is asked after
 * every rename that the events tell of, and now and then without.
 */
#include "collectors/logs/chain.h"

#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "collectors/logs/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How far back from the end of a file the end of its last line is looked for. */
#define TAIL_BYTES 65536

/* A walk meets the newest known file first, so one alone does nearly always. */
#define PAST_MAX 64

/* The name under which the source's files are looked for; NULL: the kubelet's names. */
static const char *walk_base(const struct tly_log_source *source)
{
    return source->format->kubelet ? NULL : source->base;
}

/*
 * A file has lost its name. Docker's daemon, which does that itself, has closed it before; the
 * kubelet tells the runtime only afterwards, which empties its pipes into the old file.
 */
static void finish(struct tly_log_source *source, struct tly_log_file *file)
{
    struct tly_logs *logs = source->logs;
    if (!source->format->kubelet || file->gzip) {
        file->final = true;
    } else if (!file->final && file->closing_ms == 0) {
        file->closing_ms = tly_loop_now_ms(logs->context->loop) + logs->closing_ms;
        if (!tly_timer_active(logs->closing)) {
            tly_timer_start(logs->closing, logs->closing_ms, 0);
        }
    }
}

bool tly_log_source_close(struct tly_log_source *source)
{
    int64_t now = tly_loop_now_ms(source->logs->context->loop);
    bool more = false;
    for (struct tly_log_file *file = source->oldest; file; file = file->newer) {
        if (file->closing_ms > 0 && now >= file->closing_ms) {
            file->closing_ms = 0;
            file->final = true;
            tly_log_source_wake(source);
        }
        more = more || file->closing_ms > 0;
    }
    return more;
}

/* What a walk found is rotated, but for the newest if that is the current one; and of the rotated
 * ones nobody has written to any but the last for long. */
static void finish_walked(struct tly_log_source *source, const struct tly_log_walk *walk)
{
    struct tly_log_file *last = NULL;
    for (struct tly_log_file *file = walk->oldest; file; file = file->newer) {
        if (file->newer || !walk->has_current) {
            last = file;
        }
    }
    if (last) {
        last->final = false;
        finish(source, last);
    }
}

/* Takes over what a walk found; how many files that was. */
static uint64_t append_all(struct tly_log_source *source, struct tly_log_walk *walk)
{
    uint64_t files = 0;
    finish_walked(source, walk);
    for (const struct tly_log_file *file = walk->oldest; file; file = file->newer) {
        files++;
    }
    if (files == 0) {
        return 0;
    }
    source->found += files;
    source->found_lately = true;
    if (source->newest) {
        source->newest->newer = walk->oldest;
    } else {
        source->oldest = walk->oldest;
    }
    source->newest = walk->newest;
    return files;
}

void tly_log_chain_free(struct tly_log_source *source)
{
    while (source->oldest) {
        struct tly_log_file *file = source->oldest;
        source->oldest = file->newer;
        tly_log_file_free(file);
    }
    source->newest = NULL;
    free(source->past);
    source->past = NULL;
    source->past_count = 0;
}

/* Remembers a file that leaves the chain. Without memory it is merely forgotten, and read again if
 * it ever seems new. */
static void past_add(struct tly_log_source *source, struct tly_log_file *file)
{
    if (source->past_count == PAST_MAX) {
        source->past_count--;
        memmove(source->past, source->past + 1, source->past_count * sizeof(*source->past));
    }
    struct tly_position *grown = realloc(source->past,
                                         (source->past_count + 1) * sizeof(*source->past));
    if (grown) {
        bool looked = tly_log_file_look(file) == 0; /* as much of its beginning as there is */
        (void)looked;                               /* else as much as was seen of it */
        source->past = grown;
        tly_log_file_position(file, 0, &grown[source->past_count++]);
    }
}

void tly_log_source_trim(struct tly_log_source *source)
{
    while (source->begun && source->oldest != source->newest && source->oldest->readers == 0) {
        struct tly_log_file *file = source->oldest;
        source->oldest = file->newer;
        past_add(source, file);
        tly_log_file_free(file);
    }
}

/* All files that were or are in the chain; the caller frees. */
static int list_known(const struct tly_log_source *source, struct tly_log_known **ret_known,
                      size_t *ret_count)
{
    size_t count = source->past_count;
    for (const struct tly_log_file *file = source->oldest; file; file = file->newer) {
        count++;
    }
    struct tly_log_known *known = calloc(count + 1, sizeof(*known));
    if (!known) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < source->past_count; i++) {
        known[i].identity = source->past[i];
    }
    size_t at = source->past_count;
    for (const struct tly_log_file *file = source->oldest; file; file = file->newer) {
        tly_log_file_position(file, 0, &known[at].identity);
        known[at++].held = file->fd >= 0;
    }
    *ret_known = known;
    *ret_count = count;
    return 0;
}

static int walk_from_known(const struct tly_log_source *source, struct tly_log_walk *ret_walk)
{
    struct tly_log_known *known;
    size_t count;
    int rc = list_known(source, &known, &count);
    if (rc < 0) {
        return rc;
    }
    rc = tly_log_walk(source->files_fd, walk_base(source), known, count, ret_walk);
    free(known);
    return rc;
}

/* ---- what nobody can read any more ---- */

/* What `reader`, which is at `file` or comes to it later, never gets of it. */
static void count_lost(struct tly_log_reader *reader, const struct tly_log_file *file,
                       enum tly_log_lost reason)
{
    bool here = reader->file == file;
    uint64_t offset = here ? reader->offset : 0;
    uint64_t bytes = !file->gzip && file->size > offset ? file->size - offset : 0;
    if ((file->gzip || bytes > 0) && !(here && reader->given_up)) {
        tly_log_reader_lost(reader, reason, bytes);
    }
}

/* Counts it at once, for readers that have no room for what comes before it, too. They pass over
 * the file later. */
static void lose(struct tly_log_source *source, const struct tly_log_file *file,
                 enum tly_log_lost reason)
{
    for (const struct tly_log_file *at = source->oldest; at; at = at == file ? NULL : at->newer) {
        for (size_t i = 0; i < source->logs->target_count; i++) {
            if (source->readers[i] && source->readers[i]->file == at) {
                count_lost(source->readers[i], file, reason);
            }
        }
    }
}

static bool is_lost(const struct tly_log_file *file)
{
    return file->cut || file->fd < 0;
}

static void cut(struct tly_log_source *source, struct tly_log_file *file)
{
    if (!is_lost(file)) {
        lose(source, file, TLY_LOST_TRUNCATED);
    }
    file->cut = true;
}

/* ---- the first look ---- */

/* The offset behind the last whole line. */
static uint64_t last_line_end(const struct tly_log_source *source, const struct tly_log_file *file)
{
    TLY_AUTO_FREE char *tail = malloc(TAIL_BYTES);
    uint64_t from = file->size > TAIL_BYTES ? file->size - TAIL_BYTES : 0;
    ssize_t count = tail ? tly_file_pread(file->fd, tail, (size_t)(file->size - from), (off_t)from)
                         : 0;
    size_t end = count > 0 ? source->format->last_end((struct tly_text){tail, (size_t)count}) : 0;
    return end > 0 ? from + end : from > 0 ? file->size : 0;
}

static struct tly_log_file *find(const struct tly_log_source *source,
                                 const struct tly_position *position)
{
    struct tly_log_file *found = NULL;
    if (position->head_len == 0) {
        /* The file was empty, and the first one that the destination saw. If it is not any more,
         * its inode proves nothing, and all that is there came later. */
        struct tly_log_file *newest = source->newest;
        bool still = newest->size == 0 && tly_log_file_matches(newest, position);
        return still ? newest : source->oldest;
    }
    for (struct tly_log_file *file = source->oldest; file; file = file->newer) {
        if (tly_log_file_matches(file, position) && (!found || file->inode == position->inode)) {
            found = file;
        }
    }
    return found;
}

/* Where a destination begins in files that it never had anything of. */
static void begin_anew(struct tly_log_source *source, struct tly_log_target *target,
                       struct tly_log_reader *reader)
{
    struct tly_log_file *file = source->oldest;
    uint64_t offset = 0;
    if (tly_log_source_is_old(source, target) &&
        source->logs->settings->from == TLY_LOGS_FROM_NOW) {
        file = source->newest;
        offset = file->gzip ? 0 : last_line_end(source, file);
    }
    struct tly_position position;
    tly_log_file_position(file, offset, &position);
    tly_log_reader_begin(reader, file, &position);
    tly_cursor_advance(reader->cursor, &position); /* so that a restart knows that it began */
}

static void take_up(struct tly_log_source *source, struct tly_log_target *target,
                    struct tly_log_reader *reader, const struct tly_position *kept)
{
    struct tly_position position = *kept;
    struct tly_log_file *file = find(source, kept);
    if (!file) {
        /* Its file is gone, so all that are there are newer. What was in it, and maybe in others
         * between, nobody can know. */
        tly_log_reader_lost(reader, TLY_LOST_ROTATED, 0);
        file = source->oldest;
        tly_log_file_position(file, 0, &position);
    } else if (!file->gzip && file->size < kept->offset) {
        target->truncations++;
        tly_log_reader_lost(reader, TLY_LOST_TRUNCATED, 0);
        tly_log_file_position(file, 0, &position);
    }
    tly_log_reader_begin(reader, file, &position);
}

/* Counts what was given up before this reader came. */
static void count_given_up(struct tly_log_reader *reader)
{
    for (const struct tly_log_file *file = reader->file; file; file = file->newer) {
        if (is_lost(file)) {
            count_lost(reader, file, file->cut ? TLY_LOST_TRUNCATED : TLY_LOST_HELD_MAX);
        }
    }
}

/* A reader for each target that wants one, and none for the others. */
static int make_readers(struct tly_log_source *source)
{
    struct tly_logs *logs = source->logs;
    for (size_t i = 0; i < logs->target_count; i++) {
        struct tly_log_target *target = &logs->targets[i];
        struct tly_position kept;
        if (!source->wanted[i]) {
            tly_log_reader_free(source->readers[i]);
            source->readers[i] = NULL;
            continue;
        }
        if (source->readers[i]) {
            continue;
        }
        int rc = tly_log_reader_new(source, target, &source->readers[i]);
        if (rc < 0) {
            source->readers[i] = NULL;
            return rc;
        }
        if (tly_delivery_position(logs->context->delivery, target->destination,
                                  tly_text_of(source->key), &kept)) {
            take_up(source, target, source->readers[i], &kept);
        } else {
            begin_anew(source, target, source->readers[i]);
        }
        count_given_up(source->readers[i]);
    }
    source->begun = true;
    tly_log_source_trim(source);
    return 0;
}

static int first_look(struct tly_log_source *source)
{
    struct tly_log_walk walk;
    int rc = source->newest ? 0 : tly_log_walk(source->files_fd, walk_base(source), NULL, 0, &walk);
    if (rc < 0) {
        return rc;
    }
    if (!source->newest) {
        if (!walk.oldest) {
            /* No log yet: whatever comes is new, and read from its beginning. */
            source->old = false;
            source->generation = source->logs->generation;
            return 0;
        }
        (void)append_all(source, &walk); /* at least one */
    }
    return make_readers(source);
}

/* ---- the next looks ---- */

static void count_unseen(struct tly_log_source *source, uint64_t files)
{
    struct tly_logs *logs = source->logs;
    for (uint64_t n = 0; n < files; n++) {
        for (size_t i = 0; i < logs->target_count; i++) {
            if (source->readers[i]) {
                tly_log_reader_lost(source->readers[i], TLY_LOST_ROTATED, 0);
            }
        }
    }
}

/* The base name is not the newest file any more. */
static int lengthen(struct tly_log_source *source)
{
    struct tly_log_walk walk = {.oldest = NULL};
    struct tly_log_file *known = source->newest;
    int rc = known->fd >= 0 ? tly_log_file_look(known) : 0; /* the last time under this name */
    if (rc == 0) {
        rc = walk_from_known(source, &walk);
    }
    if (rc < 0) {
        return rc;
    }
    if (walk.met_known && !walk.oldest && walk.has_current) {
        known->final = false;
        known->closing_ms = 0;
        return 0;
    }
    finish(source, known);
    if (walk.met_known && !walk.oldest) {
        return 0; /* it has no name, or another one, and nothing has come in its place */
    }
    uint64_t files = append_all(source, &walk);
    bool watched = (source->files_fd == source->dir_fd ? source->watch : source->names) != NULL;
    if (watched && source->created > source->found) {
        count_unseen(source, source->created - source->found);
        source->found = source->created;
    } else if (!watched && !walk.met_known && files > 1) {
        count_unseen(source, 1); /* rotated more than once since the last look, maybe */
    }
    tly_log_source_trim(source);
    tly_log_source_wake(source);
    return 0;
}

/* Each start of a container under Kubernetes has a file of its own. */
static int find_base(struct tly_log_source *source)
{
    char base[TLY_LOG_KUBELET_NAME_MAX];
    if (!source->format->kubelet) {
        return 0;
    }
    int rc = tly_log_walk_kubelet_base(source->files_fd, base);
    if (rc < 0 || strcmp(base, source->base) == 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    char *copy = strdup(base);
    if (!copy) {
        return -ENOMEM;
    }
    free(source->base);
    source->base = copy;
    return 0;
}

int tly_log_chain_look(struct tly_log_source *source)
{
    struct stat st;
    if (!source->begun) {
        int rc = find_base(source);
        rc = rc < 0 ? rc : first_look(source);
        tly_log_source_wake(source);
        return rc;
    }
    int rc = make_readers(source); /* the container may have another name by now */
    if (rc == 0) {
        rc = find_base(source);
    }
    if (rc < 0) {
        return rc;
    }
    struct tly_log_file *newest = source->newest;
    bool exists = fstatat(source->files_fd, source->base, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && (uint64_t)st.st_ino == newest->inode && (uint64_t)st.st_dev == newest->device) {
        newest->final = false;
        newest->closing_ms = 0;
        return tly_log_file_look(newest);
    }
    if (!exists && (newest->final || newest->closing_ms > 0)) {
        return 0;
    }
    return lengthen(source);
}

/* ---- truncation ---- */

/* Puts the copy that was made before the truncation in the cut file's place. Frees `copy`. */
static void replace_by_copy(struct tly_log_source *source, struct tly_log_file *file,
                            struct tly_log_file *copy)
{
    for (struct tly_log_file *older = source->oldest; older != file; older = older->newer) {
        if (older->inode == copy->inode && older->device == copy->device) {
            cut(source, older); /* the copy was written over an older one */
        }
    }
    int fd = file->fd;
    file->fd = copy->fd;
    file->gzip = copy->gzip;
    file->inode = copy->inode;
    file->device = copy->device;
    file->size = copy->size;
    copy->fd = fd;
    tly_log_file_free(copy);
}

/* The cut file is the newest, and still has its name: the same file, from its beginning, follows
 * it, and what it held is in a copy or gone. */
static int begin_again(struct tly_log_source *source, struct tly_log_file *file,
                       struct tly_log_file *anew)
{
    struct tly_position position;
    struct tly_log_file *copy;
    tly_log_file_position(file, 0, &position);
    int rc = tly_log_walk_find(source->files_fd, walk_base(source), &position, &copy);
    if (tly_error_lacks_means(rc)) {
        return rc;
    }
    file->final = true;
    if (rc == 0) {
        replace_by_copy(source, file, copy);
    } else {
        cut(source, file);
    }
    file->newer = anew;
    source->newest = anew;
    for (size_t i = 0; i < source->logs->target_count; i++) {
        source->logs->targets[i].truncations++;
    }
    tly_log_info("logs", "the log of container %.12s was truncated in place; reading it anew",
                 source->id);
    tly_log_source_wake(source);
    return 0;
}

/* The cut file is gone or rotated as well: then the look finds what there is. What it held is lost,
 * and what was written to it since. */
static void lose_cut(struct tly_log_source *source, struct tly_log_file *file)
{
    struct stat st;
    if (fstat(file->fd, &st) == 0 && (uint64_t)st.st_size < file->size) {
        file->size += (uint64_t)st.st_size; /* else a look has counted it */
    }
    file->final = true;
    cut(source, file);
    tly_logs_stale(source->logs, source);
}

int tly_log_source_cut(struct tly_log_source *source, struct tly_log_file *file)
{
    struct tly_log_file *anew = NULL;
    int rc = tly_log_file_open(source->files_fd, source->base, false, &anew);
    if (rc == 0 && file == source->newest && anew->inode == file->inode) {
        rc = begin_again(source, file, anew);
        anew = rc < 0 ? anew : NULL;
    } else if (!tly_error_lacks_means(rc)) {
        lose_cut(source, file);
        rc = 0;
    }
    tly_log_file_free(anew);
    file->cut_due = rc < 0;
    return rc;
}

/* ---- the bound on held files ---- */

uint64_t tly_log_source_held(struct tly_log_source *source)
{
    uint64_t bytes = 0;
    for (struct tly_log_file *file = source->oldest; file; file = file->newer) {
        if (file->fd >= 0 && file->final && !file->deleted) {
            bool looked = tly_log_file_look(file) == 0; /* a name may have gone */
            (void)looked;                               /* else the next tick sees it */
        }
        bytes += file->fd >= 0 && file->deleted && file->final ? file->size : 0;
    }
    return bytes;
}

uint64_t tly_log_source_give_up(struct tly_log_source *source)
{
    for (struct tly_log_file *file = source->oldest; file; file = file->newer) {
        if (file->fd >= 0 && file->deleted && file->final) {
            if (!file->cut) {
                lose(source, file, TLY_LOST_HELD_MAX);
            }
            tly_fd_close(&file->fd);
            tly_log_source_wake(source);
            return file->size;
        }
    }
    return 0;
}
