/*
 * The chain of a source's files: making it at the first look, lengthening it when the log was
 * rotated, cutting it when the log was truncated, shortening it when files are read. Internal to
 * the source.
 */
#ifndef TLY_LOGS_CHAIN_H
#define TLY_LOGS_CHAIN_H

#include "collectors/logs/source.h"

/* Compares the chain with the directory and brings it up to date. At the first files, the readers
 * are made, each where its destination's kept position says. -errno, -ENOMEM. */
int tly_log_chain_look(struct tly_log_source *source) TLY_CHECK;

void tly_log_chain_free(struct tly_log_source *source);

#endif
