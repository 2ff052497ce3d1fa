/*
 * Reading a YAML map field by field, strictly: what rule files and unit-test files share. Every
 * mistake becomes a complaint and reading goes on.
 */
#ifndef TLY_RULES_YAML_FIELDS_H
#define TLY_RULES_YAML_FIELDS_H

#include "agent/config/document.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tly_yaml_reader {
    struct tly_text text; /* of the file */
    struct tly_complaints *complaints;
    bool no_memory;
};

#define TLY_YAML_FIELDS_MAX 16

/*
 * Sorts the values of a map to the fields of `names`, which ends in NULL; `values` has an entry for
 * each, NULL where the field is absent or null. Unknown and repeated keys are complained about, for
 * the unknown ones with the name that was likely meant. `what` names the map ("a group"). false if
 * the node is no map.
 */
bool tly_yaml_fields(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                     const char *what, const char *const *names,
                     const struct tly_yaml_node **values);

/* The value as text, a list, a duration of Prometheus's, a number, a boolean. NULL leaves the
 * result as it is. false after a complaint. */
bool tly_yaml_text(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                   const char *name, struct tly_text *ret_text);
bool tly_yaml_list(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                   const char *name, size_t *ret_count);
bool tly_yaml_duration(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                       const char *name, int64_t *ret_ms);
bool tly_yaml_int(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                  const char *name, int64_t *ret_value);
bool tly_yaml_bool(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                   const char *name, bool *ret_value);

void tly_yaml_complain(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                       const char *format, ...) TLY_PRINTF(3, 4);
/* About a byte of the node's value. */
void tly_yaml_complain_at(const struct tly_yaml_reader *reader, const struct tly_yaml_node *node,
                          size_t offset, const char *format, ...) TLY_PRINTF(4, 5);

#endif
