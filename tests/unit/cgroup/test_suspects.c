/*
 * What is suspicious in a process, in a procfs made of plain files: its links lead to files of the
 * test's own folder, whose device stands for that of whatever its mountinfo says.
 */
#include "agent/base/file.h"
#include "collectors/cgroup/suspects.h"
#include "tests/unit/cgroup/tree_fixture.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#define PID 42

/* Smaller than the census's. */
#define TEXT_MAX 4096

static char proc[TEMP_DIR_MAX];
static int proc_fd;
static struct tly_buf text;
static struct tly_suspects suspects;
static struct tly_image_root image;

static void process_link(const char *name, const char *target)
{
    char path[FIXTURE_PATH];
    fixture_path(path, proc, "42", name);
    assert_int_equal(symlink(target, path), 0);
}

/* A process whose root is on another file system than its program, which came just now. */
static int make_proc(void **state)
{
    (void)state;
    char program[FIXTURE_PATH];
    temp_dir_make(proc);
    proc_fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(proc_fd >= 0);
    fixture_folder(proc, "42");
    fixture_write(proc, ".", "program", "");
    fixture_path(program, proc, ".", "program");
    process_link("exe", program);
    process_link("root", "/proc");
    fixture_write(proc, "42", "comm", "harmless\n");
    fixture_write(proc, "42", "cmdline", "");
    tly_buf_init(&text, TEXT_MAX);
    image = (struct tly_image_root){.since_ns = 1};
    tly_image_root_look(&image, proc_fd, PID);
    assert_true(image.known);
    return 0;
}

static int remove_proc(void **state)
{
    (void)state;
    tly_buf_done(&text);
    (void)close(proc_fd);
    temp_dir_remove(proc);
    return 0;
}

static void look(void)
{
    suspects = (struct tly_suspects){0};
    tly_suspects_look(&suspects, &image, proc_fd, PID, &text);
}

/* `head`, and so much behind it that it does not fit. */
static void write_long(const char *name, const char *head, size_t head_len, char filler)
{
    char path[FIXTURE_PATH];
    char filled[TEXT_MAX];
    fixture_path(path, proc, "42", name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    memset(filled, filler, sizeof(filled));
    assert_int_equal(fwrite(head, 1, head_len, file), head_len);
    assert_int_equal(fwrite(filled, 1, sizeof(filled), file), sizeof(filled));
    assert_int_equal(fclose(file), 0);
}

/* A long argument does not hide what stands before it. */
static void miners_with_long_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        size_t len;
        int64_t miners;
    } rows[] = {
        {"/tmp/xmrig\0--filler", sizeof("/tmp/xmrig\0--filler"), 1},
        {"x\0-o\0stratum+tcp://a.example:1", sizeof("x\0-o\0stratum+tcp://a.example:1"), 1},
        {"/bin/cat\0", sizeof("/bin/cat"), 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        write_long("cmdline", rows[i].head, rows[i].len, 'x');
        look();
        assert_int_equal(suspects.miners, rows[i].miners);
    }
}

/* Which file systems are a container's own memory. `%s` is the program's device. */
static const struct {
    const char *mountinfo;
    size_t late;
} mounts[] = {
    {"36 35 %s / /tmp rw - tmpfs tmpfs rw\n", 1},
    {"36 35 %s / /data rw - ext4 /dev/sda1 rw\n", 0},
    {"36 35 %s /build /app rw - tmpfs tmpfs rw\n", 0}, /* a folder of the host's */
    {"36 35 %s /build /app rw - tmpfs tmpfs rw\n37 35 %s / /tmp rw - tmpfs tmpfs rw\n", 1},
    {"36 35 0:0 / /tmp rw - tmpfs tmpfs rw\n37 35 %s / /data rw - ext4 /dev/sda1 rw\n", 0},
    {"nonsense\n", 0},
};

static size_t mountinfo_put(char *to, size_t size, const char *format)
{
    struct stat status;
    char device[32];
    assert_int_equal(stat(proc, &status), 0);
    (void)snprintf(device, sizeof(device), "%u:%u", major(status.st_dev), minor(status.st_dev));
    size_t len = 0;
    while (*format != '\0' && len + sizeof(device) < size) {
        if (strncmp(format, "%s", 2) == 0) {
            memcpy(to + len, device, strlen(device));
            len += strlen(device);
            format += 2;
        } else {
            to[len++] = *format++;
        }
    }
    to[len] = '\0';
    return len;
}

static void programs_in_memory(void **state)
{
    (void)state;
    char mountinfo[256];
    for (size_t i = 0; i < ROWS(mounts); i++) {
        size_t len = mountinfo_put(mountinfo, sizeof(mountinfo), mounts[i].mountinfo);
        fixture_write(proc, "42", "mountinfo", mountinfo);
        look();
        if (suspects.late_count != mounts[i].late) {
            fail_msg("%s: %zu", mountinfo, suspects.late_count);
        }
        /* One mount more than fits. */
        write_long("mountinfo", mountinfo, len, 'x');
        look();
        if (suspects.late_count != mounts[i].late) {
            fail_msg("%s and more: %zu", mountinfo, suspects.late_count);
        }
    }
    fixture_remove(proc, "42", "mountinfo");
    look();
    assert_int_equal(suspects.late_count, 0);
}

int main(void)
{
#define IN_PROC(test) cmocka_unit_test_setup_teardown(test, make_proc, remove_proc)
    const struct CMUnitTest tests[] = {
        IN_PROC(miners_with_long_arguments),
        IN_PROC(programs_in_memory),
    };
    return cmocka_run_group_tests_name("suspects", tests, NULL, NULL);
}
