/*
 * The main program of a fuzz target where no fuzzer is linked: runs the target over every file of
 * the folders given. Each input lies at the end of an allocation of its own size, so that a
 * sanitizer sees the first byte read beyond it. A folder without files fails: it tests nothing.
 */
#include "agent/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer's own limit is 1 MiB; a corpus holds small files. */
#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(int dir_fd, const char *name)
{
    struct tly_buf buf;
    tly_buf_init(&buf, INPUT_MAX);
    int rc = tly_file_read(dir_fd, name, &buf);
    uint8_t *input = rc == 0 ? malloc(buf.len > 0 ? buf.len : 1) : NULL;
    if (input) {
        if (buf.len > 0) {
            memcpy(input, buf.at, buf.len);
        }
        rc = LLVMFuzzerTestOneInput(input, buf.len);
    } else if (rc == 0) {
        rc = -1;
    }
    free(input);
    tly_buf_done(&buf);
    return rc;
}

static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        perror(path);
        return -1;
    }
    int files = 0;
    int failed = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (entry->d_type == DT_DIR) {
            continue;
        }
        files++;
        if (run_file(dirfd(folder), entry->d_name) != 0) {
            (void)fprintf(stderr, "%s/%s: failed\n", path, entry->d_name);
            failed++;
        }
    }
    (void)closedir(folder);
    (void)printf("%s: %d files, %d failed\n", path, files, failed);
    return files > 0 && failed == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    int status = argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
    for (int i = 1; i < argc; i++) {
        if (run_folder(argv[i]) != 0) {
            status = EXIT_FAILURE;
        }
    }
    return status;
}
