/*
 * Names of block devices by their numbers, from /sys/dev/block, remembered for a while: a number
 * may be given to another device later.
 */
#ifndef TLY_COLLECTORS_CGROUP_DEVICE_H
#define TLY_COLLECTORS_CGROUP_DEVICE_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdint.h>

struct tly_devices; /* opaque */

/* `sys` is where sysfs is mounted; copied. */
int tly_devices_new(const char *sys, struct tly_devices **ret_devices) TLY_CHECK;
void tly_devices_free(struct tly_devices *devices); /* NULL is fine */

/* The name of a device, and the dimensions that its samples have (tly_samples_dim_text). */
struct tly_device {
    /* "/dev/sda", cAdvisor's form; "8:0" for a device that sysfs doesn't know, so that two of them
     * stay two series. */
    struct tly_text name;
    struct tly_text dim;                 /* device */
    struct tly_text read_dim, write_dim; /* device, major, minor, operation */
};

/* Borrowed until the next `forget`; NULL when memory is out or thousands of devices are known. */
const struct tly_device *tly_devices_find(struct tly_devices *devices, uint32_t major,
                                          uint32_t minor);

/* Looks all names up anew from now on. */
void tly_devices_forget(struct tly_devices *devices);

#endif
