#include "os/virtual.h"

static int64_t now_ms(const fl__os *os)
{
    return ((const fl__virtual_os *)os)->now_ms;
}

static int64_t monotonic_ns(const fl__os *os)
{
    return ((const fl__virtual_os *)os)->now_ms * 1000000;
}

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t random_u64(const fl__os *os)
{
    fl__virtual_os *v = (fl__virtual_os *)(uintptr_t)os;
    uint64_t x = v->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* What a simulated machine has written is there: it loses no power. */
static int sync_file(const fl__os *os, int fd)
{
    (void)os, (void)fd;
    return 0;
}

void fl__virtual_os_init(fl__virtual_os *v, int64_t start_ms, uint64_t seed)
{
    *v = (fl__virtual_os){ .os = fl__os_linux, .now_ms = start_ms, .random = seed };
    v->os.name = "virtual";
    v->os.now_ms = now_ms;
    v->os.monotonic_ns = monotonic_ns;
    v->os.random_u64 = random_u64;
    v->os.sync = sync_file;
}
