/* Files of snapshots. The first byte chooses: 0: the rest is a whole file, read as blocks and as metadata; else: the
 * rest are blocks (kind, length as two bytes, payload), which are framed and restored into keyed state with timers, so
 * that checksums do not keep the search out. Whatever it is, it is restored, or refused with a reason. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "checkpoint/store.h"
#include "flinc.h"
#include "state/keyed_snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Visit {
    fl_string page;
    int64_t at;
} Visit;
FL_ROW(Visit, page, at);

FL_VALUE_STATE(total, int64_t);
FL_LIST_STATE(visits, Visit);
FL_MAP_STATE(counts, fl_string, int32_t);
static fl_state *const states[] = { &total.state, &visits.state, &counts.state };

static void ignore_failure(void *owner, fl_status status, const char *text)
{
    (void)owner, (void)status, (void)text;
}

static void must_say_why(fl_status status, fl_error *error)
{
    if (status != FL_OK && status != FL_DONE && !error->text)
        abort();
    fl__error_release(error);
}

/* Writes a file that has a path. */
static int make_file(const void *bytes, size_t size, char *path, size_t path_size)
{
    int fd = memfd_create("snapshot", 0);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    snprintf(path, path_size, "/proc/self/fd/%d", fd);
    return fd;
}

static void read_file(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = make_file(data, size, path, sizeof path);
    fl__blocks blocks;
    fl__block block;
    fl_error error = FL_ERROR_INIT;
    fl_status status = fl__blocks_open(&blocks, NULL, &fl__os_linux, path, &error);
    while (status == FL_OK)
        status = fl__blocks_next(&blocks, &block, &error);
    fl__blocks_close(&blocks);
    must_say_why(status, &error);
    fl__arena arena;
    fl__arena_init(&arena, NULL);
    fl__state_catalog catalog;
    error = FL_ERROR_INIT;
    must_say_why(fl__checkpoint_load(&catalog, NULL, &fl__os_linux, NULL, &arena, path, &error), &error);
    fl__arena_release(&arena);
    close(fd);
}

static void frame(const uint8_t *data, size_t size, fl__buffer *out)
{
    uint64_t count = 1;
    fl__blocks_begin(out);
    size_t opened = fl__block_open(out, FL__BLOCK_OPERATOR, 0);
    fl__block_put_text(out, "op");
    fl__block_close(out, opened);
    while (size >= 3) {
        size_t length = (size_t)data[1] | (size_t)data[2] << 8, left = size - 3;
        length = length < left ? length : left;
        opened = fl__block_open(out, (fl__block_kind)(FL__BLOCK_OPERATOR + data[0] % 7), 0);
        fl__buffer_append(out, data + 3, length);
        fl__block_close(out, opened);
        count++;
        data += 3 + length;
        size -= 3 + length;
    }
    fl__blocks_end(out, count);
}

static void restore(const uint8_t *data, size_t size)
{
    char path[64];
    fl__buffer bytes;
    fl__buffer_init(&bytes, NULL);
    frame(data, size, &bytes);
    int fd = make_file(bytes.data, bytes.size, path, sizeof path);
    fl__buffer_release(&bytes);
    fl_error error = FL_ERROR_INIT;
    fl__key key;
    fl__keyed *keyed;
    if (fl__key_init_whole(&key, FL_TYPE(int64_t), &error) != FL_OK)
        abort();
    fl__keyed_options options = {
        .key = &key, .states = states, .state_count = 3, .with_timers = true, .max_parallelism = 128
    };
    if (fl__keyed_new(&keyed, &options, &error) != FL_OK)
        abort();
    fl__timers *timers = fl__timers_new(NULL, keyed);
    fl__function function;
    fl__function_init(&function, NULL, ignore_failure);
    function.keyed = keyed;
    function.timers = timers;
    fl_context ctx = { .function = &function, .state_offsets = keyed->offsets, .max_parallelism = 128 };
    fl__state_file file = { path, 0 };
    fl__restored from = {
        .os = &fl__os_linux, .id = "op", .files = &file, .file_count = 1, .parallelism = 1, .max_parallelism = 128
    };
    must_say_why(fl__keyed_restore(keyed, timers, &ctx, &from, &error), &error);
    fl__restored_close(&from);
    fl__timers_free(timers);
    fl__keyed_free(keyed);
    fl__function_release(&function);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 0)
        read_file(data + 1, size - 1);
    else
        restore(data + 1, size - 1);
    return 0;
}
