/* Options: the table of all there are (options.inc), and a configuration, which is a set of values for them.
 *
 *     fl__config *config = fl__config_new();
 *     if (fl__config_set_pair(config, "execution.buffer-timeout=5 ms", error) != FL_OK) …
 *     int64_t ms = fl__config_duration_ms(config, FL__OPTION_EXECUTION_BUFFER_TIMEOUT);
 *
 * As in Flink, what is set under an option's key wins over what is set under one of its former keys, whichever came
 * first; of two settings of one key the later wins. Values are checked when they are set: reading cannot fail. A key
 * that Flink knows and flinc has no use for is accepted with a debug line and kept as text; any other unknown key is
 * an error that names the nearest ones.
 *
 * One thread until the job runs, read-only from then on. */
#ifndef FL_BASE_CONFIG_H
#define FL_BASE_CONFIG_H

#include "base/error.h"

typedef enum fl__option_type {
    FL__BOOL,
    FL__INT,
    FL__DOUBLE,
    FL__STRING,
    FL__DURATION, /* ms */
    FL__MEMORY,   /* bytes */
    FL__ENUM      /* index in the choices */
} fl__option_type;

typedef enum fl__option_effect {
    FL__IN_EFFECT,
    FL__NOT_YET,  /* checked; setting it gives a warning, for a later version will use it */
    FL__NO_EFFECT /* accepted for Flink's sake: the question does not arise here */
} fl__option_effect;

#define FL__FORMER_MAX 3

typedef struct fl__option {
    const char *key;
    fl__option_type type;
    const char *default_text;           /* NULL: none */
    const char *former[FL__FORMER_MAX]; /* keys it had before, as far as not NULL */
    int64_t min, max;                   /* INT, DURATION, MEMORY; both 0: from 0 on */
    const char *choices;                /* ENUM: "a|b|c", case does not matter */
    const char *text;                   /* one line of documentation */
    const char *since;                  /* version; NULL: 0.1 */
    fl__option_effect effect;
} fl__option;

typedef enum fl__option_id {
#define OPTION(id, ...) FL__OPTION_##id,
#include "base/options.inc"
#undef OPTION
    FL__OPTION_COUNT
} fl__option_id;

extern const fl__option fl__options[FL__OPTION_COUNT];

/* The option of this key, or former key (then *is_former); -1: none. */
int fl__option_find(const char *key, bool *is_former);
/* Is it a key of Flink's, present or former? */
bool fl__option_is_flinks(const char *key);

typedef struct fl__config fl__config;

fl__config *fl__config_new(void);
fl__config *fl__config_copy(const fl__config *config);
void fl__config_free(fl__config *config); /* NULL: nothing */

/* Sets the option of a key. FL_ERROR_INVALID with key, value and what would be right; the configuration is as
 * before. */
FL_MUST_USE fl_status fl__config_set(fl__config *config, const char *key, const char *value, fl_error *error);
/* "key=value", the argument of -D; blanks around both are dropped. */
FL_MUST_USE fl_status fl__config_set_pair(fl__config *config, const char *pair, fl_error *error);
/* Sets what is set in from. */
void fl__config_merge(fl__config *config, const fl__config *from);

/* The value as it was written, else the default (NULL: none); also under a former key, and for Flink's keys that were
 * accepted. NULL for unknown keys. Valid until the option is set again. */
const char *fl__config_get(const fl__config *config, const char *key);

bool fl__config_is_set(const fl__config *config, fl__option_id id);
/* Of an option of the type named; the default when not set, and zero (NULL) when that is none. */
const char *fl__config_text(const fl__config *config, fl__option_id id); /* of every type */
bool fl__config_bool(const fl__config *config, fl__option_id id);
int64_t fl__config_int(const fl__config *config, fl__option_id id);
double fl__config_double(const fl__config *config, fl__option_id id);
int64_t fl__config_duration_ms(const fl__config *config, fl__option_id id);
int64_t fl__config_memory(const fl__config *config, fl__option_id id);
int fl__config_enum(const fl__config *config, fl__option_id id); /* index in the choices; -1: not set, no default */

/* Calls each with every key that is set, in no particular order. */
void fl__config_each(const fl__config *config, void (*each)(void *arg, const char *key, const char *value), void *arg);

/* The reference page: a table of all options, in Markdown. free() it. */
char *fl__options_markdown(void);
/* "Integer, 1 … 32768": type and range in words. free() it. */
char *fl__option_range(const fl__option *option);

#endif
