/* What operators compute, once for the engine and once for the reference. */
#include "pipeline.h"

#include <stdio.h>

uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Most texts are short or a little longer than what a string keeps inline; some fill a segment, a few are larger. */
fl_string text_of(int64_t id, char buffer[TEXT_MAX])
{
    uint64_t h = mix((uint64_t)id ^ 0x7e47);
    size_t length = h % 13;
    if (h % 16 >= 11)
        length = 13 + (h >> 8) % 50;
    if (h % 64 == 63)
        length = 200 + (h >> 8) % 300;
    if (h % 512 == 511)
        length = TEXT_MAX - 1;
    for (size_t i = 0; i < length; i++)
        buffer[i] = (char)('a' + (h + i) % 26);
    return fl_string_of(buffer, length);
}

fl_string name_of(int64_t key, char buffer[64])
{
    int n = key % 3 ? snprintf(buffer, 64, "k%lld", (long long)key)
                    : snprintf(buffer, 64, "key number %lld of a long name", (long long)key);
    return fl_string_of(buffer, (size_t)n);
}

record derived(const record *in, uint64_t salt, int copy)
{
    record out = *in;
    out.id = mix2(in->id, salt + (uint64_t)copy);
    out.value = in->value * 3 % 1000 + (int64_t)(salt % 8) + copy;
    return out;
}

void content_add(content *c, const record *in, bool by_order)
{
    c->count++;
    c->at += in->at;
    if (by_order) {
        c->id = mix2(c->id, (uint64_t)in->id);
        c->value = (int64_t)((uint64_t)c->value * 31 + (uint64_t)in->value);
    } else {
        c->id ^= in->id;
        c->value += in->value;
    }
}

record content_result(const content *c, int64_t key, fl_time start, fl_time end, bool has_range)
{
    return (record){
        .id = has_range ? mix2(c->id, (uint64_t)(start * 31 + end)) : c->id,
        .key = key,
        .value = c->value,
        .at = c->at + c->count,
        .timestamp = end - 1,
    };
}

record joined(const record *left, const record *right, uint64_t salt)
{
    record out = left ? *left : *right;
    out.id = mix2(left ? left->id : 0, salt + (uint64_t)(right ? right->id : 1));
    out.value = (left ? left->value : 0) + 3 * (right ? right->value : 0);
    if (left && right && right->at > left->at)
        out.at = right->at;
    return out;
}
