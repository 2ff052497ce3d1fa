/*
 * Directory watches on real directories: order, shared kernel watches, the end of a directory, an
 * overflow of the kernel's queue, and freeing from inside the callbacks.
 */
#include "running.h"

#include "agent/base/file.h"
#include "agent/loop/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tly_watcher *watcher;
static char folder[TEMP_DIR_MAX];

static int make_watcher(void **state)
{
    temp_dir_make(folder);
    int rc = make_loop(state);
    return rc < 0 ? rc : tly_watcher_new(loop, &watcher);
}

static int free_watcher(void **state)
{
    tly_watcher_free(watcher);
    watcher = NULL;
    temp_dir_remove(folder);
    return free_loop(state);
}

/* What a watch was told, one word for each event: "+a" created, "-a" gone, "~a" modified, "end",
 * "lost". */
struct seen {
    struct tly_watch *watch;
    char text[2048];
    unsigned long count;
    struct seen *free_it;   /* whose watch to free at the first event */
    const char *watch_anew; /* a path to watch at ENDED */
    struct tly_watch *anew; /* the watch made so */
    bool free_the_watcher;
    bool keep_count_only;
};

static void note(void *arg, unsigned events, struct tly_text name)
{
    struct seen *seen = arg;
    seen->count++;
    size_t len = strlen(seen->text);
    if (!seen->keep_count_only) {
        const char *kind = events == TLY_WATCH_CREATED    ? "+"
                           : events == TLY_WATCH_GONE     ? "-"
                           : events == TLY_WATCH_MODIFIED ? "~"
                           : events == TLY_WATCH_ENDED    ? "end"
                           : events == TLY_WATCH_LOST     ? "lost"
                                                          : "?";
        (void)snprintf(seen->text + len, sizeof(seen->text) - len, "%s%s%.*s", len > 0 ? " " : "",
                       kind, (int)name.len, name.at);
    }
    if (seen->free_it) {
        tly_watch_free(seen->free_it->watch);
        seen->free_it->watch = NULL;
        seen->free_it = NULL;
    }
    if (seen->watch_anew && events == TLY_WATCH_ENDED) {
        assert_int_equal(mkdir(seen->watch_anew, 0700), 0);
        assert_int_equal(
            tly_watch_new(watcher, seen->watch_anew, TLY_WATCH_CREATED, note, seen, &seen->anew),
            0);
    }
    if (seen->free_the_watcher) {
        tly_watcher_free(watcher);
        watcher = NULL;
    }
}

enum { ALL = TLY_WATCH_CREATED | TLY_WATCH_GONE | TLY_WATCH_MODIFIED };

static void watch(struct seen *seen, const char *path, unsigned events)
{
    assert_int_equal(tly_watch_new(watcher, path, events, note, seen, &seen->watch), 0);
}

static char path_space[4][TEMP_DIR_MAX + NAME_MAX + 2];

/* The path of `name` in the folder; good for four calls. */
static const char *in_folder(const char *name)
{
    static unsigned turn;
    char *path = path_space[turn++ % 4];
    (void)snprintf(path, sizeof(path_space[0]), "%s/%s", folder, name);
    return path;
}

static void touch(const char *name, const char *content)
{
    TLY_AUTO_FD fd = open(in_folder(name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(tly_file_write_fd(fd, content, strlen(content)), 0);
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(in_folder(from), in_folder(to)), 0);
}

static void reports_in_the_kernels_order(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_int_equal(mkdir(in_folder("other"), 0700), 0);
    watch(&seen, folder, ALL);
    touch("a", "x");
    touch("b", "");
    touch("a", "y");
    move("a", "c");
    touch("c", "z");
    move("b", "other/b"); /* out */
    move("other/b", "b"); /* and in */
    assert_int_equal(unlink(in_folder("c")), 0);
    assert_int_equal(seen.count, 0); /* nothing from outside the loop */
    run_briefly();
    assert_string_equal(seen.text, "+a ~a +b ~a -a +c ~c -b +b -c");
    tly_watch_free(seen.watch);
    touch("d", "");
    run_briefly();
    assert_null(strstr(seen.text, "d"));
    tly_watch_free(NULL);
    tly_watcher_free(NULL);
}

static void names_may_be_long(void **state)
{
    (void)state;
    struct seen seen = {0};
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    watch(&seen, folder, TLY_WATCH_CREATED);
    touch(name, "");
    touch("\n\"\xff", "");
    run_briefly();
    char expected[512];
    (void)snprintf(expected, sizeof(expected), "+%s +\n\"\xff", name);
    assert_string_equal(seen.text, expected);
    tly_watch_free(seen.watch);
}

/* The kernel's own count, from /proc/self/fdinfo. */
static int kernel_watches(void)
{
    int count = 0;
    DIR *list = opendir("/proc/self/fdinfo");
    assert_non_null(list);
    const struct dirent *entry;
    while ((entry = readdir(list))) {
        struct tly_buf buf;
        tly_buf_init(&buf, 1 << 20);
        if (entry->d_name[0] != '.' && tly_file_read(dirfd(list), entry->d_name, &buf) == 0) {
            struct tly_text rest = tly_buf_text(&buf);
            while (rest.at) {
                count += tly_text_starts(tly_text_cut(&rest, '\n'), TLY_TEXT("inotify wd:"));
            }
        }
        tly_buf_done(&buf);
    }
    (void)closedir(list);
    return count;
}

static void one_kernel_watch_serves_several(void **state)
{
    (void)state;
    struct seen created = {0};
    struct seen gone = {0};
    struct seen all = {0};
    assert_int_equal(symlink(folder, in_folder("link")), 0);
    watch(&created, folder, TLY_WATCH_CREATED);
    watch(&gone, in_folder("."), TLY_WATCH_GONE);
    watch(&all, in_folder("link"), ALL);
    assert_int_equal(kernel_watches(), 1);
    touch("a", "x");
    assert_int_equal(unlink(in_folder("a")), 0);
    run_briefly();
    assert_string_equal(created.text, "+a");
    assert_string_equal(gone.text, "-a");
    assert_string_equal(all.text, "+a ~a -a");

    /* One leaves, the others stay. */
    tly_watch_free(all.watch);
    touch("b", "x");
    run_briefly();
    assert_string_equal(created.text, "+a +b");
    assert_string_equal(all.text, "+a ~a -a");
    assert_int_equal(kernel_watches(), 1);
    tly_watch_free(created.watch);
    tly_watch_free(gone.watch);
    assert_int_equal(kernel_watches(), 0);

    /* The same directory again, with events of before still in the queue. */
    struct seen again = {0};
    watch(&again, folder, ALL);
    touch("c", "");
    run_briefly();
    assert_string_equal(again.text, "+c");
    tly_watch_free(again.watch);
}

static void a_directory_ends_once(void **state)
{
    (void)state;
    struct seen removed = {0};
    struct seen removed_too = {0};
    struct seen moved = {0};
    struct seen parent = {0};
    assert_int_equal(mkdir(in_folder("removed"), 0700), 0);
    assert_int_equal(mkdir(in_folder("moved"), 0700), 0);
    watch(&parent, folder, TLY_WATCH_GONE);
    watch(&removed, in_folder("removed"), 0); /* ENDED always comes */
    watch(&removed_too, in_folder("removed"), ALL);
    watch(&moved, in_folder("moved"), ALL);
    assert_int_equal(kernel_watches(), 3);
    assert_int_equal(rmdir(in_folder("removed")), 0);
    move("moved", "elsewhere");
    touch("elsewhere/later", "");
    run_briefly();
    assert_string_equal(removed.text, "end");
    assert_string_equal(removed_too.text, "end");
    assert_string_equal(moved.text, "end"); /* and nothing after it */
    assert_string_equal(parent.text, "-removed -moved");
    assert_int_equal(kernel_watches(), 1);
    tly_watch_free(removed.watch);
    tly_watch_free(removed_too.watch);
    tly_watch_free(moved.watch);
    tly_watch_free(parent.watch);
}

static void may_watch_anew_when_told_of_the_end(void **state)
{
    (void)state;
    struct seen seen = {0};
    char path[TEMP_DIR_MAX + 8];
    (void)snprintf(path, sizeof(path), "%s/again", folder);
    seen.watch_anew = path;
    seen.free_it = &seen;
    assert_int_equal(mkdir(path, 0700), 0);
    watch(&seen, path, ALL);
    assert_int_equal(rmdir(path), 0);
    run_briefly();
    assert_string_equal(seen.text, "end");
    touch("again/x", "");
    run_briefly();
    assert_string_equal(seen.text, "end +x");
    tly_watch_free(seen.anew);
}

static void refuses_what_is_no_directory(void **state)
{
    (void)state;
    struct tly_watch *none;
    struct seen seen = {0};
    assert_int_equal(tly_watch_new(watcher, in_folder("missing"), ALL, note, &seen, &none),
                     -ENOENT);
    touch("file", "");
    assert_int_equal(tly_watch_new(watcher, in_folder("file"), ALL, note, &seen, &none), -ENOTDIR);
}

/* Without an inotify instance, here for lack of descriptors, it is made all the same, and works as
 * soon as there is one. */
static void waits_for_an_instance(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct tly_watcher *late;
    struct tly_watcher *gathering;
    struct seen seen[2] = {{0}, {0}};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, limit.rlim_max}), 0);
    int made[2] = {tly_watcher_new(loop, &late), tly_watcher_new_gathering(loop, 1, &gathering)};
    int watched = made[0] < 0 ? 0
                              : tly_watch_new(late, folder, ALL, note, &seen[0], &seen[0].watch);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(made[0], 0);
    assert_int_equal(made[1], 0);
    assert_int_equal(watched, -EMFILE);
    assert_non_null(strstr(tly_watch_advice(watched), "fs.inotify.max_user_instances"));
    assert_non_null(strstr(tly_watch_advice(watched), "open files"));

    assert_int_equal(tly_watch_new(late, folder, ALL, note, &seen[0], &seen[0].watch), 0);
    assert_int_equal(tly_watch_new(gathering, folder, ALL, note, &seen[1], &seen[1].watch), 0);
    touch("a", "");
    run_briefly();
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(seen[i].text, "+a");
        tly_watch_free(seen[i].watch);
    }
    tly_watcher_free(late);
    tly_watcher_free(gathering);
}

static void is_freed_from_inside_itself(void **state)
{
    (void)state;
    struct seen seen = {0};
    seen.free_it = &seen;
    watch(&seen, folder, ALL);
    touch("a", "x");
    touch("b", "x");
    run_briefly();
    assert_string_equal(seen.text, "+a");
    assert_int_equal(kernel_watches(), 0);
}

static void frees_its_neighbours(void **state)
{
    (void)state;
    /* Whatever the order in which those of one directory are told: one frees the other. */
    struct seen one = {0};
    struct seen two = {0};
    one.free_it = &two;
    two.free_it = &one;
    watch(&one, folder, ALL);
    watch(&two, folder, ALL);
    touch("a", "");
    touch("b", "");
    run_briefly();
    assert_int_equal(one.count + two.count, 2);
    assert_true(one.count == 0 || two.count == 0);
    assert_true((one.watch == NULL) != (two.watch == NULL));
    tly_watch_free(one.watch);
    tly_watch_free(two.watch);
}

static void the_watcher_may_go_from_inside(void **state)
{
    (void)state;
    struct seen seen = {0};
    seen.free_it = &seen;
    seen.free_the_watcher = true;
    watch(&seen, folder, ALL);
    touch("a", "x");
    touch("b", "x");
    run_briefly();
    assert_string_equal(seen.text, "+a");
    assert_null(watcher);
}

static unsigned long queue_max(void)
{
    struct tly_buf buf;
    tly_buf_init(&buf, 64);
    assert_int_equal(tly_file_read(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events", &buf), 0);
    uint64_t max;
    assert_int_equal(tly_text_u64(tly_text_trim(tly_buf_text(&buf)), &max), 0);
    tly_buf_done(&buf);
    return max;
}

static void an_overflow_is_told_to_all(void **state)
{
    (void)state;
    const unsigned long max = queue_max();
    if (max > 1000000) {
        print_message("SKIPPED: fs.inotify.max_queued_events is %lu\n", max);
        skip();
    }
    struct seen busy = {.keep_count_only = true};
    struct seen quiet = {0};
    struct seen quiet_too = {0};
    assert_int_equal(mkdir(in_folder("busy"), 0700), 0);
    assert_int_equal(mkdir(in_folder("quiet"), 0700), 0);
    watch(&busy, in_folder("busy"), TLY_WATCH_CREATED | TLY_WATCH_GONE);
    watch(&quiet, in_folder("quiet"), ALL);
    watch(&quiet_too, in_folder("quiet"), ALL);
    struct seen freed = {0};
    watch(&freed, in_folder("quiet"), ALL);
    quiet.free_it = &freed;
    char path[TEMP_DIR_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/busy/x", folder);
    for (unsigned long i = 0; i < max / 2 + 10; i++) { /* two events each */
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        tly_fd_close(&fd);
        assert_int_equal(unlink(path), 0);
    }
    touch("quiet/lost", ""); /* does not fit any more */
    run_briefly();
    while (busy.count < max + 1) {
        run_briefly();
    }
    assert_int_equal(busy.count, max + 1); /* the whole queue, and that it ran over */
    assert_string_equal(quiet.text, "lost");
    assert_string_equal(quiet_too.text, "lost");
    assert_in_range(freed.count, 0, 1);

    touch("quiet/found", "");
    run_briefly();
    assert_string_equal(quiet.text, "lost +found");
    tly_watch_free(busy.watch);
    tly_watch_free(quiet.watch);
    tly_watch_free(quiet_too.watch);
}

static void many_directories(void **state)
{
    (void)state;
    enum { MANY = 500 };
    static struct seen seen[MANY];
    char name[16];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(mkdir(in_folder(name), 0700), 0);
        seen[i] = (struct seen){.free_it = NULL};
        watch(&seen[i], in_folder(name), ALL);
    }
    assert_int_equal(kernel_watches(), MANY);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(name, sizeof(name), "%d/%d", i, round);
            touch(name, "");
        }
    }
    run_briefly();
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(seen[i].text, "+0 +1 +2");
        tly_watch_free(seen[i].watch);
    }
    assert_int_equal(kernel_watches(), 0);
}

int main(void)
{
#define WATCHED(test) cmocka_unit_test_setup_teardown(test, make_watcher, free_watcher)
    const struct CMUnitTest tests[] = {
        WATCHED(reports_in_the_kernels_order),
        WATCHED(names_may_be_long),
        WATCHED(one_kernel_watch_serves_several),
        WATCHED(a_directory_ends_once),
        WATCHED(may_watch_anew_when_told_of_the_end),
        WATCHED(refuses_what_is_no_directory),
        WATCHED(waits_for_an_instance),
        WATCHED(is_freed_from_inside_itself),
        WATCHED(frees_its_neighbours),
        WATCHED(the_watcher_may_go_from_inside),
        WATCHED(an_overflow_is_told_to_all),
        WATCHED(many_directories),
    };
    return cmocka_run_group_tests_name("loop:watch", tests, NULL, NULL);
}
