/* What strings, keys, batches and codecs cost, in ns of CPU time per operation: build/bench/data [NAME]. The best of
 * several rounds; other load on the machine still shows. For profiling, not a case of `./dev bench`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "data/codec.h"
#include "data/key.h"

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

typedef struct {
    int64_t key;
    double value;
} Pair;
FL_ROW(Pair, key, value);

typedef struct {
    fl_nulls nulls;
    fl_string a, b;
    int64_t n;
} Nullable;
FL_ROW(Nullable, nulls, a, b, n);

enum { N = 1024, LINES = 2000, WORDS = 10, REPEATS = 50 };

static char words[10000][16], *lines[LINES];
static size_t line_lengths[LINES];
static WordCount short_rows[N], long_rows[N];
static Pair pairs[N];
static Nullable nullables[N];
static uint64_t hashes[N], sink; /* what the compiler must not drop */
static char scratch[64];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void make_input(void)
{
    unsigned seed = 1;
    for (int i = 0; i < 10000; i++)
        for (int j = 0, n = 3 + rand_r(&seed) % 7; j < n; j++)
            words[i][j] = (char)('a' + rand_r(&seed) % 26);
    for (int i = 0; i < LINES; i++) {
        char *p = lines[i] = malloc(WORDS * 16);
        for (int w = 0; w < WORDS; w++) {
            const char *word = words[rand_r(&seed) % 10000];
            p = stpcpy(p, word);
            if (w < WORDS - 1)
                *p++ = ' ';
        }
        line_lengths[i] = (size_t)(p - lines[i]);
    }
    for (int i = 0; i < N; i++) {
        short_rows[i] = (WordCount){ fl_str(words[i]), i };
        long_rows[i] = (WordCount){ fl_string_of(lines[i], 20 + (size_t)i % 20), i };
        pairs[i] = (Pair){ i, i };
        nullables[i] = (Nullable){ .nulls.bits = i % 2 ? 0 : 2, .a = short_rows[i].word, .n = i };
    }
}

/* ---- strings ---- */

static void tokens(const char *delimiters)
{
    for (int i = 0; i < LINES; i++) {
        fl_string rest = fl_string_of(lines[i], line_lengths[i]), token;
        while (fl_string_token(&rest, delimiters, &token))
            sink += token.length;
    }
}

static void token_one(void)
{
    tokens(" ");
}

static void token_two(void)
{
    tokens(" \t");
}

static void token_six(void)
{
    tokens(" \t,;.!");
}

static void token_and_hash(void)
{
    for (int i = 0; i < LINES; i++) {
        fl_string rest = fl_string_of(lines[i], line_lengths[i]), token;
        while (fl_string_token(&rest, " ", &token))
            sink += fl__key_hash_string(&token);
    }
}

static void field(void)
{
    for (int i = 0; i < LINES; i++) {
        fl_string rest = fl_string_of(lines[i], line_lengths[i]), token;
        while (fl_string_field(&rest, ' ', &token))
            sink += token.length;
    }
}

static void bare_memchr(void)
{
    for (int i = 0; i < LINES; i++) {
        for (const char *p = lines[i], *end = p + line_lengths[i], *q; p < end; p = q + 1) {
            q = memchr(p, ' ', (size_t)(end - p));
            q = q ? q : end;
            sink += (size_t)(q - p);
        }
    }
}

static void bare_bytes(void)
{
    for (int i = 0; i < LINES; i++) {
        for (const char *p = lines[i], *end = p + line_lengths[i], *q; p < end; p = q + 1) {
            for (q = p; q < end && *q != ' ';)
                q++;
            sink += (size_t)(q - p);
        }
    }
}

static void to_int(void)
{
    fl_string s = fl_str("1547718199");
    for (int i = 0; i < N; i++) {
        int64_t value;
        fl_string_to_int(&s, &value);
        sink += (uint64_t)value;
    }
}

static void to_double(void)
{
    fl_string s = fl_str("35.8");
    for (int i = 0; i < N; i++) {
        double value;
        fl_string_to_double(&s, &value);
        sink += (uint64_t)value;
    }
}

static void format_row(void)
{
    char text[64];
    for (int i = 0; i < N; i++)
        sink += fl_format(FL_TYPE(WordCount), &short_rows[i], text, sizeof text);
}

static void format_double(void)
{
    static const double values[] = { 35.8, 0.1, 123456.789, 1.0 / 3 };
    char text[64];
    for (int i = 0; i < N; i++)
        sink += fl_format(FL_TYPE(double), &values[i % 4], text, sizeof text);
}

/* ---- keys ---- */

static fl__arena arena;

static fl__key key_of(const fl_type *type, const char *a, const char *b)
{
    fl__key key;
    if (fl__key_init_fields(&key, &arena, type, (const char *[]){ a, b }, NULL, b ? 2 : 1, NULL) != FL_OK)
        abort();
    return key;
}

static void hash_int64(void)
{
    fl__key key = key_of(FL_TYPE(Pair), "key", NULL);
    fl__key_hash_rows(&key, (const char *)pairs, sizeof *pairs, N, hashes, scratch);
    sink += hashes[0];
}

static void hash_string(void)
{
    fl__key key = key_of(FL_TYPE(WordCount), "word", NULL);
    fl__key_hash_rows(&key, (const char *)short_rows, sizeof *short_rows, N, hashes, scratch);
    sink += hashes[0];
}

static void hash_tuple(void)
{
    fl__key key = key_of(FL_TYPE(Pair), "value", "key");
    fl__key_hash_rows(&key, (const char *)pairs, sizeof *pairs, N, hashes, scratch);
    sink += hashes[0];
}

static void compare_rows(void)
{
    for (int i = 1; i < N; i++)
        sink += (uint64_t)fl_compare(FL_TYPE(WordCount), &short_rows[i - 1], &short_rows[i]);
}

/* ---- batches and state values ---- */

static void append_rows(const fl_type *type, const void *rows)
{
    fl__layout layout;
    fl__layout_init(&layout, type);
    fl__batch *batch = fl__batch_new(NULL, type, 0, 1 << 17);
    for (size_t i = 0; i < N; i++)
        sink += fl__batch_append(batch, &layout, (const char *)rows + i * type->size);
    fl__batch_free(batch);
}

static void append_flat(void)
{
    append_rows(FL_TYPE(Pair), pairs);
}

static void append_short(void)
{
    append_rows(FL_TYPE(WordCount), short_rows);
}

static void append_long(void)
{
    append_rows(FL_TYPE(WordCount), long_rows);
}

static void append_nullable(void)
{
    append_rows(FL_TYPE(Nullable), nullables);
}

static void rebase_long(void)
{
    static fl__batch *batch;
    if (!batch) {
        fl__layout layout;
        fl__layout_init(&layout, FL_TYPE(WordCount));
        batch = fl__batch_new(NULL, FL_TYPE(WordCount), 0, 1 << 17);
        for (size_t i = 0; i < N; i++)
            sink += fl__batch_append(batch, &layout, &long_rows[i]);
    }
    batch->base += 64; /* as if it had come from there; nobody follows the pointers */
    fl__batch_rebase(batch, FL_TYPE(WordCount));
}

static fl__layout word_layout;
static fl__heap *heap;

static void own_and_drop(void)
{
    for (int i = 0; i < N; i++) {
        WordCount value = long_rows[i];
        fl__value_own(&word_layout, &value, heap);
        fl__value_drop(&word_layout, &value, heap);
    }
}

static void settle_same(void)
{
    for (int i = 0; i < N; i++) {
        WordCount value = long_rows[i];
        value.count++;
        fl__value_settle(&word_layout, &value, &long_rows[i], heap);
    }
}

static void settle_new(void)
{
    WordCount value = { fl_str(""), 0 }, old;
    for (int i = 0; i < N; i++) {
        old = value;
        value.word = long_rows[i].word;
        fl__value_settle(&word_layout, &value, &old, heap);
    }
    fl__value_drop(&word_layout, &value, heap);
}

/* ---- codec ---- */

static fl__buffer encoded;

static void encode(void)
{
    encoded.size = 0;
    for (int i = 0; i < N; i++)
        fl__encode(FL_TYPE(WordCount), &short_rows[i], &encoded);
}

static void decode(void)
{
    if (encoded.size == 0)
        encode();
    fl__reader reader = { encoded.data, encoded.data, encoded.data + encoded.size };
    for (int i = 0; i < N; i++) {
        WordCount value;
        if (fl__decode(FL_TYPE(WordCount), &reader, &arena, &value, NULL) != FL_OK)
            abort();
    }
}

static const struct {
    const char *name;
    void (*run)(void);
    int operations;
} cases[] = {
    { "token, one delimiter", token_one, LINES *WORDS },
    { "token, two delimiters", token_two, LINES *WORDS },
    { "token, six delimiters", token_six, LINES *WORDS },
    { "token and its hash", token_and_hash, LINES *WORDS },
    { "field", field, LINES *WORDS },
    { "bare loop with memchr", bare_memchr, LINES *WORDS },
    { "bare loop over bytes", bare_bytes, LINES *WORDS },
    { "string to int, 10 digits", to_int, N },
    { "string to double, 35.8", to_double, N },
    { "print a word count", format_row, N },
    { "print a double", format_double, N },
    { "hash int64", hash_int64, N },
    { "hash short string", hash_string, N },
    { "hash (double, int64)", hash_tuple, N },
    { "compare word counts", compare_rows, N },
    { "append 16 flat bytes", append_flat, N },
    { "append a short string", append_short, N },
    { "append a string of 20 to 39", append_long, N },
    { "append two nullable strings", append_nullable, N },
    { "rebase a long string", rebase_long, N },
    { "own and drop a long string", own_and_drop, N },
    { "settle, nothing new", settle_same, N },
    { "settle, a new long string", settle_new, N },
    { "encode a word count", encode, N },
    { "decode a word count", decode, N },
};

int main(int argc, char **argv)
{
    make_input();
    fl__arena_init(&arena, NULL);
    fl__layout_init(&word_layout, FL_TYPE(WordCount));
    heap = fl__heap_new(NULL);
    fl__buffer_init(&encoded, NULL);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        if (argc > 1 && !strstr(cases[c].name, argv[1]))
            continue;
        double best = 1e9;
        for (int round = 0; round < 7; round++) {
            double start = now();
            for (int i = 0; i < REPEATS; i++)
                cases[c].run();
            double seconds = now() - start;
            best = seconds < best ? seconds : best;
        }
        printf("%-30s %8.2f ns\n", cases[c].name, best / REPEATS / cases[c].operations * 1e9);
    }
    return sink == 1; /* never */
}
