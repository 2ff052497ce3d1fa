/*
 * The table of token shapes, singly and as one pattern; see token_shape.h.
 */
#include "agent/codec/token_shape.h"

const struct tly_token_shape tly_token_shapes[] = {
#define TLY_TOKEN(name, pattern) {name, pattern},
#include "agent/codec/token_shapes.def"
#undef TLY_TOKEN
};

const size_t tly_token_shape_count = sizeof(tly_token_shapes) / sizeof(tly_token_shapes[0]);

/* Groups are numbered anew in each alternative; the first one never fits. */
#define TLY_TOKEN(name, pattern) "|" pattern
const char tly_token_shapes_pattern[] = "(?|(?!)"
#include "agent/codec/token_shapes.def"
                                        ")";
#undef TLY_TOKEN
