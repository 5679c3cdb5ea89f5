/* Word count over a large text file in BATCH mode, beside the usual ways of doing it. `./dev bench batch_words`.
 *
 *     batch_words [--mb 1024] [--words 50000] [--rounds 3] [--file F] [SIDE…]
 *
 * Sides: bare (a C program of one thread: read, split, one hash table), flinc1 and flinc2 (parallelism), sort
 * (LC_ALL=C tr | sort | uniq -c), duckdb (its Python package, 2 threads; left out with a note when there is none).
 * Without --file a text is made in a folder of its own and removed at the end: words of 2 to 12 letters, Zipf-like, 10
 * to 20 a line. All sides must come to the same number of words and of different ones. Medians over the rounds. */
#include "bench.h"

#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct WordCount {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

/* ---- the text ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t next_random(uint64_t *state)
{
    return mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* The word of a rank: letters from its number, frequent ones shorter. */
static size_t word_of(uint32_t rank, char *to)
{
    size_t length = 2 + (size_t)(log2((double)rank + 1) / 2) + mix(rank) % 3;
    length = length > 12 ? 12 : length;
    uint64_t letters = mix(rank + 77);
    for (size_t i = 0; i < length; i++) {
        to[i] = (char)('a' + letters % 26);
        letters = letters / 26 ? letters / 26 : mix(letters + rank);
    }
    return length;
}

/* Zipf with exponent 1 by inversion: rank ≈ n^u. */
static bool make_text(const char *path, uint64_t bytes, uint32_t words)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    setvbuf(f, NULL, _IOFBF, 1 << 20);
    uint64_t state = 1, written = 0;
    double log_words = log((double)words);
    char(*texts)[16] = malloc(words * sizeof *texts);
    uint8_t *lengths = malloc(words);
    for (uint32_t w = 0; w < words; w++)
        lengths[w] = (uint8_t)word_of(w, texts[w]);
    while (written < bytes) {
        uint64_t r = next_random(&state);
        for (uint64_t n = 10 + r % 11; n > 0; n--) {
            double u = (double)(next_random(&state) >> 11) * 0x1p-53;
            uint32_t rank = (uint32_t)exp(u * log_words) - 1;
            char *text = texts[rank];
            text[lengths[rank]] = n > 1 ? ' ' : '\n';
            fwrite(text, 1, lengths[rank] + 1u, f);
            written += lengths[rank] + 1u;
        }
    }
    free(texts);
    free(lengths);
    return fclose(f) == 0;
}

/* ---- the bare program ---- */

typedef struct slot {
    const char *word;
    uint64_t hash, count;
    uint32_t length;
} slot;

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* FNV-1a as it goes along; a table that grows from small, words copied aside: the hot ones stay in the caches. */
typedef struct table {
    slot *slots;
    size_t mask, count;
    char *space, *space_end;
    void *blocks; /* of words; each begins with a pointer to the one before */
} table;

static void grow(table *t)
{
    size_t mask = t->mask ? t->mask * 2 + 1 : 1023;
    slot *slots = calloc(mask + 1, sizeof *slots);
    for (size_t i = 0; t->slots && i <= t->mask; i++) {
        size_t to = t->slots[i].hash & mask;
        if (!t->slots[i].count)
            continue;
        while (slots[to].count)
            to = (to + 1) & mask;
        slots[to] = t->slots[i];
    }
    free(t->slots);
    t->slots = slots;
    t->mask = mask;
}

static void count_word(table *t, const char *word, uint32_t length, uint64_t hash)
{
    hash ^= hash >> 32;
    size_t i = hash & t->mask;
    for (; t->slots[i].count; i = (i + 1) & t->mask) {
        slot *s = &t->slots[i];
        if (s->hash == hash && s->length == length && memcmp(s->word, word, length) == 0) {
            s->count++;
            return;
        }
    }
    if ((size_t)(t->space_end - t->space) < length) {
        size_t size = sizeof(void *) + length + (1 << 20);
        void **block = malloc(size);
        *block = t->blocks;
        t->blocks = block;
        t->space = (char *)(block + 1);
        t->space_end = (char *)block + size;
    }
    t->slots[i] = (slot){ memcpy(t->space, word, length), hash, 1, length };
    t->space += length;
    if (++t->count > t->mask / 2)
        grow(t);
}

static bool run_bare(const char *path, uint64_t *words, uint64_t *different)
{
    int fd = open(path, O_RDONLY);
    struct stat s;
    if (fd < 0 || fstat(fd, &s) < 0)
        return false;
    size_t size = (size_t)s.st_size;
    const char *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    table t = { 0 };
    grow(&t);
    for (const char *p = text, *end = text + size; p < end;) {
        while (p < end && is_space((unsigned char)*p))
            p++;
        const char *start = p;
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (; p < end && !is_space((unsigned char)*p); p++)
            hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
        if (p > start)
            count_word(&t, start, (uint32_t)(p - start), hash);
    }
    for (size_t i = 0; i <= t.mask; i++)
        *words += t.slots[i].count;
    *different = t.count;
    free(t.slots);
    for (void **block = t.blocks, **next; block; block = next) {
        next = *block;
        free(block);
    }
    munmap((void *)(uintptr_t)text, size);
    close(fd);
    return true;
}

/* ---- flinc ---- */

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_string rest = *(const fl_string *)in, word;
    while (fl_string_token(&rest, " \t", &word))
        fl_collect(out, &(WordCount){ word, 1 });
}

static void count_result(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    fl_accumulate(ctx, "words", ((const WordCount *)in)->count);
    fl_accumulate(ctx, "different", 1);
}

static bool run_flinc(const char *path, int parallelism, uint64_t *words, uint64_t *different)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_runtime_mode(env, FL_BATCH);
    fl_set_parallelism(env, parallelism);
    fl_stream *counts = fl_sum(fl_key_by(fl_flat_map(fl_read_text(env, path), split, WordCount), "word"), "count");
    fl_add_sink(counts, count_result);
    bool ok = fl_execute(env, "word count") == 0;
    if (!ok)
        fprintf(stderr, "batch_words: %s\n", fl_env_error(env));
    *words = (uint64_t)fl_result_accumulator(env, "words");
    *different = (uint64_t)fl_result_accumulator(env, "different");
    fl_env_free(env);
    return ok;
}

/* ---- others ---- */

static bool run_command(const char *command, uint64_t *words, uint64_t *different)
{
    FILE *f = popen(command, "r");
    bool ok = f && fscanf(f, "%lu %lu", words, different) == 2;
    return f && pclose(f) == 0 && ok;
}

static bool run_sort(const char *path, uint64_t *words, uint64_t *different)
{
    char command[4096];
    snprintf(command, sizeof command,
        "LC_ALL=C tr -s ' \\t' '\\n' <'%s' | LC_ALL=C sort | uniq -c | awk '{ n += $1 } END { print n, NR }'", path);
    return run_command(command, words, different);
}

static bool run_duckdb(const char *path, uint64_t *words, uint64_t *different)
{
    char command[4096];
    snprintf(command, sizeof command,
        "python3 - '%s' <<'END'\n"
        "import duckdb, sys\n"
        "c = duckdb.connect()\n"
        "c.execute('SET threads = 2')\n"
        "print(*c.execute(\"SELECT sum(n), count(*) FROM (SELECT w, count(*) AS n FROM \"\n"
        "    \"(SELECT unnest(string_split(line, ' ')) AS w FROM read_csv(?, columns = {'line': 'VARCHAR'}, \"\n"
        "    \"header = false, auto_detect = false, delim = '\\t', quote = '', escape = '')) GROUP BY w)\",\n"
        "    [sys.argv[1]]).fetchone())\n"
        "END\n",
        path);
    return run_command(command, words, different);
}

/* ---- rounds, each run a process of its own ---- */

typedef struct side {
    const char *name, *title;
} side;

static const side sides[] = {
    { "bare", "bare C program, 1 thread" },
    { "flinc1", "flinc, parallelism 1" },
    { "flinc2", "flinc, parallelism 2" },
    { "sort", "LC_ALL=C tr | sort | uniq -c" },
    { "duckdb", "DuckDB, 2 threads" },
};
enum { SIDES = sizeof sides / sizeof sides[0], ROUNDS_MAX = 32 };

static int run_side(const char *name, const char *path)
{
    uint64_t words = 0, different = 0;
    double wall = wall_now();
    bool ok = strcmp(name, "bare") == 0     ? run_bare(path, &words, &different)
              : strcmp(name, "flinc1") == 0 ? run_flinc(path, 1, &words, &different)
              : strcmp(name, "flinc2") == 0 ? run_flinc(path, 2, &words, &different)
              : strcmp(name, "sort") == 0   ? run_sort(path, &words, &different)
                                            : run_duckdb(path, &words, &different);
    printf("result %.6f %lu %lu\n", wall_now() - wall, words, different);
    return ok ? 0 : 1;
}

typedef struct options {
    uint64_t mb;
    uint32_t words;
    int rounds;
    const char *file;
} options;

typedef struct result {
    double seconds[ROUNDS_MAX], cpu[ROUNDS_MAX];
    int count;
} result;

static bool measure(const char *name, const char *path, result *r, uint64_t *words, uint64_t *different)
{
    FILE *out;
    char line[256];
    uint64_t w = 0, d = 0;
    bool found = false;
    int pid = child_start((const char *[]){ "--run", name, path, NULL }, &out);
    while (fgets(line, sizeof line, out))
        found |= sscanf(line, "result %lf %lu %lu", &r->seconds[r->count], &w, &d) == 3;
    if (!child_wait(pid, out, &r->cpu[r->count]) || !found)
        return false;
    if (*words && (*words != w || *different != d))
        fprintf(stderr, "batch_words: %s counts %lu words, %lu different, instead of %lu and %lu\n", name, w, d, *words,
            *different);
    bool ok = !*words || (*words == w && *different == d);
    *words = *words ? *words : w;
    *different = *different ? *different : d;
    r->count++;
    return ok;
}

static bool is_wanted(const char *name, char *const *names)
{
    if (!*names)
        return true;
    for (; *names; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

static int run_all(const options *o, const char *path, char *const *names)
{
    static result results[SIDES];
    uint64_t words = 0, different = 0;
    bool ok = true;
    for (int round = 0; round < o->rounds; round++) {
        for (int s = 0; s < SIDES && ok; s++) {
            if (!is_wanted(sides[s].name, names))
                continue;
            if (strcmp(sides[s].name, "duckdb") == 0 && system("python3 -c 'import duckdb' 2>/dev/null") != 0) {
                if (round == 0)
                    fprintf(
                        stderr, "batch_words: DuckDB's Python package is not there (pip install duckdb): left out\n");
                continue;
            }
            ok = measure(sides[s].name, path, &results[s], &words, &different);
        }
    }
    if (!ok)
        return 1;
    struct stat st;
    double mb = stat(path, &st) == 0 ? (double)st.st_size / 1e6 : 0;
    printf(
        "%.0f MB, %lu words, %lu different\n%-32s %8s %8s %10s\n", mb, words, different, "", "wall s", "CPU s", "MB/s");
    for (int s = 0; s < SIDES; s++) {
        result *r = &results[s];
        if (!r->count)
            continue;
        double seconds = median(r->seconds, (size_t)r->count), cpu = median(r->cpu, (size_t)r->count);
        printf("%-32s %8.2f %8.2f %10.0f\n", sides[s].title, seconds, cpu, mb / seconds);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = { { "mb", required_argument, NULL, 'm' },
        { "words", required_argument, NULL, 'w' }, { "rounds", required_argument, NULL, 'r' },
        { "file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 } };
    options o = { .mb = 1024, .words = 50000, .rounds = 3 };
    if (argc == 4 && strcmp(argv[1], "--run") == 0)
        return run_side(argv[2], argv[3]);
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (c) {
        case 'm': o.mb = strtoull(optarg, NULL, 10); break;
        case 'w': o.words = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'r': o.rounds = atoi(optarg) < ROUNDS_MAX ? atoi(optarg) : ROUNDS_MAX; break;
        case 'f': o.file = optarg; break;
        default: fprintf(stderr, "usage: batch_words [--mb N] [--words N] [--rounds N] [--file F] [SIDE…]\n"); return 2;
        }
    }
    if (o.file)
        return run_all(&o, o.file, argv + optind);
    const char *tmp = getenv("TMPDIR");
    char folder[512], path[600];
    snprintf(folder, sizeof folder, "%s/flinc-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    snprintf(path, sizeof path, "%s/words.txt", folder);
    int status = make_text(path, o.mb * 1000 * 1000, o.words) ? run_all(&o, path, argv + optind) : 1;
    unlink(path);
    rmdir(folder);
    return status;
}
