/*
 * What the engine told, passed on to those who want to know; see inventory.h.
 */
#include "agent/inventory/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tly_inventory_news(struct tly_inventory *inventory, tly_news_fn told, void *arg)
{
    for (size_t i = 0; i < TLY_LISTENERS_MAX; i++) {
        if (inventory->hearers[i].told == NULL) {
            inventory->hearers[i] = (struct tly_hearer){.told = told, .arg = arg};
            return 0;
        }
    }
    return TLY_E_LIMIT;
}

void tly_inventory_unnews(struct tly_inventory *inventory, tly_news_fn told, void *arg)
{
    for (size_t i = 0; i < TLY_LISTENERS_MAX; i++) {
        if (inventory->hearers[i].told == told && inventory->hearers[i].arg == arg) {
            inventory->hearers[i] = (struct tly_hearer){0};
        }
    }
}

void tly_inventory_tell(struct tly_inventory *inventory, const struct tly_engine_news *news)
{
    for (size_t i = 0; i < TLY_LISTENERS_MAX; i++) {
        const struct tly_hearer *hearer = &inventory->hearers[i];
        if (hearer->told != NULL) {
            hearer->told(hearer->arg, news);
        }
    }
}

int tly_inventory_put_data_root(struct tly_inventory *inventory, const char *path)
{
    char *copy = strdup(path);
    if (!copy) {
        return -ENOMEM;
    }
    free(inventory->data_root);
    inventory->data_root = copy;
    return 0;
}

const char *tly_inventory_data_root(const struct tly_inventory *inventory)
{
    return inventory->data_root;
}
