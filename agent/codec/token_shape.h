/*
 * Credentials that can be told by their form alone, whatever stands around them: what is covered in
 * log lines, and what a posture check finds where no secret should be.
 */
#ifndef TLY_CODEC_TOKEN_SHAPE_H
#define TLY_CODEC_TOKEN_SHAPE_H

#include <stddef.h>

struct tly_token_shape {
    const char *name;    /* for a person: "GitHub token" */
    const char *pattern; /* for agent/codec/pattern.h; a group holds the secret alone */
};

extern const struct tly_token_shape tly_token_shapes[];
extern const size_t tly_token_shape_count;

/* All of them as one pattern, with the secret in its first group where the shape has one. */
extern const char tly_token_shapes_pattern[];

#endif
