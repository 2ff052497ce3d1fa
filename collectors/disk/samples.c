/*
 * Sizes as samples; see samples.h.
 */
#include "collectors/disk/samples.h"

#include "agent/base/clock.h"

static int64_t number(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static bool is_whole(const struct tly_disk_size *size)
{
    return size->cut == 0 && size->unreadable == 0;
}

static void add(struct tly_samples *samples, enum tly_family_id family, uint16_t dim,
                uint64_t value)
{
    tly_samples_add(samples, family, dim, number(value));
}

/* cAdvisor's families, which all carry a device. */
static void device_write(const struct tly_disk_job *job, struct tly_samples *samples)
{
    const struct tly_disk_size *size = &job->layer.size;
    uint64_t logs = job->logs.rc == 0 ? job->logs.size.bytes : 0;
    uint16_t dim = tly_samples_dim1(samples, "device", tly_text_of(job->device));
    if (dim == TLY_DIM_NONE) {
        return;
    }
    if (size->fs_inodes > 0) {
        add(samples, TLY_F_container_fs_inodes_free, dim, size->fs_inodes_free);
        add(samples, TLY_F_container_fs_inodes_total, dim, size->fs_inodes);
    }
    if (size->fs_bytes > 0) {
        add(samples, TLY_F_container_fs_limit_bytes, dim, size->fs_bytes);
    }
    add(samples, TLY_F_container_fs_usage_bytes, dim, size->bytes + logs);
}

void tly_disk_container_write(const struct tly_disk_job *job, struct tly_samples *samples)
{
    if (job->layer.tried && job->layer.rc == 0) {
        device_write(job, samples);
        add(samples, TLY_F_container_fs_writable_layer_bytes, TLY_DIM_NONE, job->layer.size.bytes);
        add(samples, TLY_F_container_fs_writable_layer_inodes, TLY_DIM_NONE,
            job->layer.size.inodes);
        tly_samples_add(samples, TLY_F_container_fs_measured_timestamp_seconds, TLY_DIM_NONE,
                        job->layer.measured_ns / TLY_NS_PER_MS);
        tly_samples_add(samples, TLY_F_container_fs_measurement_complete, TLY_DIM_NONE,
                        is_whole(&job->layer.size));
    }
    if (job->logs.tried && job->logs.rc == 0 && job->log_mark) {
        add(samples, TLY_F_container_log_file_bytes, TLY_DIM_NONE, job->logs.size.marked_bytes);
        tly_samples_add(samples, TLY_F_container_log_file_measured_timestamp_seconds, TLY_DIM_NONE,
                        job->logs.measured_ns / TLY_NS_PER_MS);
    }
}

void tly_disk_filesystems_write(const struct tly_disk_filesystems *filesystems,
                                struct tly_samples *samples)
{
    static const char *const names[] = {"id", "device"};
    for (size_t i = 0; i < filesystems->count; i++) {
        const struct tly_disk_filesystem *at = &filesystems->at[i];
        const struct tly_text values[] = {TLY_TEXT("/"), tly_text_of(at->device)};
        uint16_t dim = tly_samples_dim(samples, names, values, 2);
        if (dim == TLY_DIM_NONE) {
            continue;
        }
        if (at->inodes > 0) {
            add(samples, TLY_F_container_fs_inodes_free, dim, at->inodes_free);
            add(samples, TLY_F_container_fs_inodes_total, dim, at->inodes);
        }
        add(samples, TLY_F_container_fs_limit_bytes, dim, at->bytes);
        add(samples, TLY_F_container_fs_usage_bytes, dim, at->used_bytes);
    }
}

void tly_disk_volume_write(struct tly_text name, const struct tly_disk_result *result,
                           struct tly_samples *samples)
{
    uint16_t dim = tly_samples_dim1(samples, "name", name);
    if (dim == TLY_DIM_NONE) {
        return;
    }
    add(samples, TLY_F_docker_volume_usage_bytes, dim, result->size.bytes);
    add(samples, TLY_F_docker_volume_inodes, dim, result->size.inodes);
    tly_samples_add(samples, TLY_F_docker_volume_measured_timestamp_seconds, dim,
                    result->measured_ns / TLY_NS_PER_MS);
    tly_samples_add(samples, TLY_F_docker_volume_measurement_complete, dim,
                    is_whole(&result->size));
}
