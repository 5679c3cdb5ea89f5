#include "connectors/file/unpack.h"

#include "base/memory.h"

#include <zlib.h>
#include <zstd.h>

enum { PACKED_BYTES = 128 * 1024 };

struct fl__unpack {
    fl__file file;
    fl__packing packing;
    bool at_end;        /* of the file */
    bool inside;        /* of a member or frame: the end of the file here is too early */
    bool started;       /* something was read: the packing is known */
    z_stream gzip;      /* initialised when packing is FL__GZIP and started */
    ZSTD_DStream *zstd; /* kept for the next file */
    int64_t offset;     /* in the file, of buffer[begin] */
    size_t begin, end;
    unsigned char buffer[PACKED_BYTES];
};

static bool ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcmp(path + n - m, suffix) == 0;
}

fl__packing fl__packing_of(const char *path, const void *head, size_t length)
{
    const unsigned char *p = (const unsigned char *)head;
    if ((length >= 2 && p[0] == 0x1f && p[1] == 0x8b) || ends_with(path, ".gz"))
        return FL__GZIP;
    if ((length >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0) || ends_with(path, ".zst"))
        return FL__ZSTD;
    return FL__PLAIN;
}

fl__unpack *fl__unpack_new(void)
{
    fl__unpack *u = fl__alloc(NULL, sizeof *u);
    memset(u, 0, offsetof(fl__unpack, buffer));
    u->file = FL__FILE_INIT;
    return u;
}

void fl__unpack_close(fl__unpack *u)
{
    if (u->started && u->packing == FL__GZIP)
        inflateEnd(&u->gzip);
    u->started = false;
    fl__file_close(&u->file);
}

void fl__unpack_free(fl__unpack *u)
{
    if (!u)
        return;
    fl__unpack_close(u);
    ZSTD_freeDStream(u->zstd);
    fl__free(NULL, u, sizeof *u);
}

fl_status fl__unpack_open(fl__unpack *u, const fl__os *os, const char *path, fl_error *error)
{
    fl__unpack_close(u);
    u->at_end = u->inside = false;
    u->offset = 0;
    u->begin = u->end = 0;
    return fl__file_open(&u->file, os, path, FL__FILE_READ, error);
}

/* Reads on when the buffer is used up. */
static fl_status fill(fl__unpack *u, fl_error *error)
{
    if (u->begin < u->end || u->at_end)
        return FL_OK;
    size_t got;
    fl_status status = fl__file_read(&u->file, u->buffer, sizeof u->buffer, &got, error);
    if (status != FL_OK)
        return status;
    u->begin = 0;
    u->end = got;
    u->at_end = got == 0;
    return FL_OK;
}

/* The first bytes say what the file is. A short first read (a pipe) is completed as far as the magic numbers go. */
static fl_status start(fl__unpack *u, fl_error *error)
{
    while (u->end < 4) {
        size_t got;
        fl_status status = fl__file_read(&u->file, u->buffer + u->end, sizeof u->buffer - u->end, &got, error);
        if (status != FL_OK)
            return status;
        if (got == 0) {
            u->at_end = true;
            break;
        }
        u->end += got;
    }
    u->packing = fl__packing_of(u->file.path, u->buffer, u->end);
    if (u->packing == FL__GZIP) {
        memset(&u->gzip, 0, sizeof u->gzip);
        if (inflateInit2(&u->gzip, 15 + 16) != Z_OK)
            return fl__error_set(error, FL_ERROR_INTERNAL, "cannot unpack %s: zlib does not start", u->file.path);
    } else if (u->packing == FL__ZSTD) {
        if (!u->zstd)
            u->zstd = ZSTD_createDStream();
        if (!u->zstd)
            return fl__error_set(error, FL_ERROR_INTERNAL, "cannot unpack %s: zstd does not start", u->file.path);
        ZSTD_initDStream(u->zstd);
    }
    /* A packed file has at least one member, so that an empty one is cut off. */
    u->inside = u->packing != FL__PLAIN;
    u->started = true;
    return FL_OK;
}

static fl_status cut_off(const fl__unpack *u, const char *format, fl_error *error)
{
    return fl__error_set(error, FL_ERROR_CORRUPT,
        "cannot unpack %s: the %s data is cut off: the file ends at byte %lld in the middle of it; copy or write it "
        "anew",
        u->file.path, format, (long long)u->offset);
}

static fl_status damaged(const fl__unpack *u, const char *format, const char *why, fl_error *error)
{
    return fl__error_set(error, FL_ERROR_CORRUPT, "cannot unpack %s: damaged %s data before byte %lld: %s",
        u->file.path, format, (long long)u->offset, why);
}

static void used(fl__unpack *u, size_t left)
{
    size_t taken = u->end - u->begin - left;
    u->begin += taken;
    u->offset += (int64_t)taken;
}

/* Between members: zeros may stand there (tapes, padded copies); FL_DONE at the end. */
static fl_status next_member(fl__unpack *u, fl_error *error)
{
    for (;;) {
        fl_status status = fill(u, error);
        if (status != FL_OK)
            return status;
        if (u->begin == u->end)
            return FL_DONE;
        if (u->buffer[u->begin] != 0)
            break;
        used(u, u->end - u->begin - 1);
    }
    inflateReset(&u->gzip);
    u->inside = true;
    return FL_OK;
}

static fl_status read_gzip(fl__unpack *u, char *to, size_t room, size_t *got, fl_error *error)
{
    u->gzip.next_out = (Bytef *)to;
    u->gzip.avail_out = (uInt)room;
    while (u->gzip.avail_out == room) {
        fl_status status = u->inside ? fill(u, error) : next_member(u, error);
        if (status != FL_OK)
            return status;
        if (u->begin == u->end)
            return cut_off(u, "gzip", error);
        u->gzip.next_in = u->buffer + u->begin;
        u->gzip.avail_in = (uInt)(u->end - u->begin);
        int result = inflate(&u->gzip, Z_NO_FLUSH);
        used(u, u->gzip.avail_in);
        if (result == Z_STREAM_END)
            u->inside = false;
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return damaged(u, "gzip", u->gzip.msg ? u->gzip.msg : "not understood", error);
    }
    *got = room - u->gzip.avail_out;
    return FL_OK;
}

static fl_status read_zstd(fl__unpack *u, char *to, size_t room, size_t *got, fl_error *error)
{
    ZSTD_outBuffer out = { to, room, 0 };
    while (out.pos == 0) {
        fl_status status = fill(u, error);
        if (status != FL_OK)
            return status;
        bool no_more = u->begin == u->end;
        if (no_more && !u->inside)
            return FL_DONE;
        ZSTD_inBuffer in = { u->buffer + u->begin, u->end - u->begin, 0 };
        size_t result = ZSTD_decompressStream(u->zstd, &out, &in);
        used(u, in.size - in.pos);
        if (ZSTD_isError(result))
            return damaged(u, "zstd", ZSTD_getErrorName(result), error);
        u->inside = result != 0;
        if (no_more && out.pos == 0)
            return cut_off(u, "zstd", error);
    }
    *got = out.pos;
    return FL_OK;
}

static fl_status read_plain(fl__unpack *u, char *to, size_t room, size_t *got, fl_error *error)
{
    size_t there = u->end - u->begin;
    if (there > 0) {
        *got = there < room ? there : room;
        memcpy(to, u->buffer + u->begin, *got);
        used(u, there - *got);
        return FL_OK;
    }
    /* straight into the caller's buffer */
    fl_status status = fl__file_read(&u->file, to, room, got, error);
    u->offset += (int64_t)*got;
    return status == FL_OK && *got == 0 ? FL_DONE : status;
}

fl_status fl__unpack_read(fl__unpack *u, char *to, size_t room, size_t *got, fl_error *error)
{
    fl_assert(room > 0);
    *got = 0;
    fl_status status = u->started ? FL_OK : start(u, error);
    if (status != FL_OK)
        return status;
    if (room > 1u << 30)
        room = 1u << 30;
    switch (u->packing) {
    case FL__GZIP: return read_gzip(u, to, room, got, error);
    case FL__ZSTD: return read_zstd(u, to, room, got, error);
    default: return read_plain(u, to, room, got, error);
    }
}
