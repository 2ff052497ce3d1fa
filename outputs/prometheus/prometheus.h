/* The Prometheus output: /metrics. */
#ifndef TLY_OUTPUTS_PROMETHEUS_PROMETHEUS_H
#define TLY_OUTPUTS_PROMETHEUS_PROMETHEUS_H

#include "agent/registry.h"

extern const struct tly_output tly_output_prometheus;

#endif
