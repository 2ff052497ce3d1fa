/*
 * One line of a container's log in the format of the Container Runtime Interface, as containerd and
 * CRI-O write it for Kubernetes (kubernetes/community
 * contributors/design-proposals/node/kubelet-cri-logging.md; kubelet's parser in
 * pkg/kubelet/kuberuntime/logs):
 *
 *   2016-10-06T00:17:09.669794202Z stdout F the text
 *
 * The text stands in the line verbatim. The third word is a list of tags divided by colons, of
 * which the first says whether the text is Partial or Full.
 */
#ifndef TLY_CODEC_CRI_LINE_H
#define TLY_CODEC_CRI_LINE_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/line_clock.h"

#include <stdbool.h>
#include <stdint.h>

struct tly_cri_line {
    int64_t time_ns;        /* realtime */
    struct tly_text stream; /* "stdout" or "stderr"; borrowed from the line, as is the text */
    struct tly_text text;
    bool whole; /* not a piece that another one follows */
};

/* `line` is without its newline. TLY_E_MALFORMED. */
int tly_cri_line_parse(struct tly_text line, struct tly_line_clock *clock,
                       struct tly_cri_line *ret_line) TLY_CHECK;

#endif
