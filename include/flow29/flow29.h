/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FLOW29_FLOW29_H
#define FLOW29_FLOW29_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A node of the swarm for programs in C and whatever calls C: the part of <flow29/node.hpp> that
 * publishes and fetches. Every function blocks until it is done and may be called from any thread.
 * Text is UTF-8 and ends with a zero byte.
 *
 * The library is GPL-3.0-or-later because OpenDHT 2.4 is: so is what links it.
 */
typedef struct flow29_node flow29_node;

/** Why a function failed. `code` is the command line's exit status for it: 2 usage, 4 not found,
 *  5 timed out, 6 failed verification, 7 no network, 8 no room, 9 file error, 10 exists already,
 *  11 refused, 12 fewer copies than asked, 1 anything else. */
typedef struct {
    int code;
    char message[256];
} flow29_error;

/** How a node is set up. All zero but `data` is a node with the defaults that stores nothing. */
typedef struct {
    const char* data; /**< its directory; made if it is not there */
    const char* const*
        bootstrap;             /**< HOST:PORT of nodes of the swarm, NULL after the last; or NULL */
    const char* const* listen; /**< literal addresses, NULL after the last; or NULL: all */
    uint16_t port;             /**< UDP and TCP; 0 picks one */
    int store;                 /**< not 0: hold extents for others */
    uint64_t capacity_bytes;   /**< on disk, everything counted; 0: 50 GiB */
} flow29_config;

enum {
    FLOW29_PRIVATE = 1,   /**< publish: encrypt; the key is in the link */
    FLOW29_OVERWRITE = 2, /**< fetch: replace what is there */
    FLOW29_NO_SHARE = 4,  /**< fetch: do not serve the file to others from where it lies */
    FLOW29_TIMES = 8      /**< publish: a directory with the times of its files */
};

/** "0.1.0" */
const char* flow29_version(void);

/** NULL when it cannot start, with the reason in `error` (which may be NULL, here and below). */
flow29_node* flow29_start(const flow29_config* config, flow29_error* error);
/** Stops it; calls that still wait end with code 130. The node must not be used any more. */
void flow29_stop(flow29_node* node);
/** The port in use. */
uint16_t flow29_port(const flow29_node* node);

/**
 * Publishes a file or directory and waits until `copies` other nodes (0: 4) hold all of it.
 * The link, for flow29_free; NULL when it failed. With fewer copies than asked it is published all
 * the same: then there is a link, and error->code is 12.
 */
char* flow29_publish(flow29_node* node, const char* path, unsigned copies, unsigned flags,
                     flow29_error* error);
/** Fetches what a link names to `path`. 0, or -1. An interrupted fetch goes on where it stopped. */
int flow29_fetch(flow29_node* node, const char* link, const char* path, unsigned flags,
                 flow29_error* error);

/** Takes the next verified bytes; 0 ends the stream. Called on the thread that called
 *  flow29_stream. */
typedef int (*flow29_sink)(void* context, const uint8_t* bytes, size_t count);
/** Hands a file's bytes to `sink` in order. 0, or -1; also -1, with code 130, when the sink ended
 *  it. */
int flow29_stream(flow29_node* node, const char* link, flow29_sink sink, void* context,
                  flow29_error* error);

/** Frees what flow29_publish gave; NULL is nothing. */
void flow29_free(char* text);

#ifdef __cplusplus
}
#endif

#endif
