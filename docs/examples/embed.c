/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Publishes a file privately and reads it back, with two nodes inside this process.
 *   cc embed.c -o embed-c $(pkg-config --cflags --libs flow29) && ./embed-c FILE DIRECTORY > COPY */
#include <flow29/flow29.h>

#include <stdio.h>
#include <stdlib.h>

static int print(void* file, const uint8_t* bytes, size_t count) {
    return fwrite(bytes, 1, count, file) == count;
}

static flow29_node* start(const char* data, const char* address, const char* bootstrap, int store) {
    const char* listen[] = {address, NULL};
    const char* others[] = {bootstrap, NULL};
    const flow29_config config = {
        .data = data, .listen = listen, .bootstrap = others, .store = store};
    flow29_error error;
    flow29_node* node = flow29_start(&config, &error);
    if (node == NULL) {
        fprintf(stderr, "embed-c: %s\n", error.message);
        exit(error.code);
    }
    return node;
}

int main(int argc, char** argv) {
    char directory[512], address[32];
    flow29_error error;
    if (argc != 3) return 2;
    snprintf(directory, sizeof directory, "%s/holder", argv[2]);
    flow29_node* holder = start(directory, "127.0.3.1", NULL, 1);
    snprintf(directory, sizeof directory, "%s/mine", argv[2]);
    snprintf(address, sizeof address, "127.0.3.1:%u", (unsigned)flow29_port(holder));
    flow29_node* mine = start(directory, "127.0.4.1", address, 0);

    char* link = flow29_publish(mine, argv[1], 1, FLOW29_PRIVATE, &error);
    if (link != NULL && error.code == 0) {
        fprintf(stderr, "%s\n", link);
        flow29_stream(holder, link, print, stdout, &error);
    }
    if (error.code != 0) fprintf(stderr, "embed-c: %s\n", error.message);
    flow29_free(link);
    flow29_stop(mine);
    flow29_stop(holder);
    return error.code;
}
