/*
 * What scanners found of images, for those who judge images; see inventory.h.
 */
#include "agent/base/map.h"
#include "agent/inventory/table.h"

#include <errno.h>
#include <stdlib.h>

void tly_inventory_scans_begin(struct tly_inventory *inventory)
{
    struct tly_map *scans = tly_map_new();
    if (scans != NULL) {
        tly_inventory_scans_free(inventory);
        inventory->scans = scans;
    }
}

void tly_inventory_scans_free(struct tly_inventory *inventory)
{
    tly_map_free(inventory->scans, free);
    inventory->scans = NULL;
}

bool tly_inventory_scans_known(const struct tly_inventory *inventory)
{
    return inventory->scans != NULL;
}

int tly_inventory_put_scan(struct tly_inventory *inventory, struct tly_text image_id,
                           const struct tly_image_scan *scan)
{
    void *old = NULL;
    struct tly_image_scan *copy = inventory->scans != NULL ? malloc(sizeof(*copy)) : NULL;
    if (copy == NULL) {
        return -ENOMEM;
    }
    *copy = *scan;
    int rc = tly_map_put(inventory->scans, image_id, copy, &old);
    free(rc < 0 ? copy : old);
    return rc;
}

const struct tly_image_scan *tly_inventory_scan(const struct tly_inventory *inventory,
                                                struct tly_text image_id)
{
    return inventory->scans != NULL ? tly_map_get(inventory->scans, image_id) : NULL;
}
