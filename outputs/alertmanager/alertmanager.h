/*
 * The outputs of alerts: to Alertmanagers, and to webhooks. They differ in what they say, not in
 * how.
 */
#ifndef TLY_OUTPUT_ALERTMANAGER_ALERTMANAGER_H
#define TLY_OUTPUT_ALERTMANAGER_ALERTMANAGER_H

#include "agent/registry.h"

extern const struct tly_output tly_output_alertmanager, tly_output_webhook;

#endif
