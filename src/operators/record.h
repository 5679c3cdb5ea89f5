/* Operators that look at one record at a time. */
#ifndef FL_OPERATORS_RECORD_H
#define FL_OPERATORS_RECORD_H

#include "stream/operator.h"

extern const fl__operator_class fl__map_class, fl__flat_map_class, fl__filter_class;

/* Watermarks and timestamps: config is this. */
enum {
    FL__NO_WATERMARKS = 0,
    FL__BOUNDED = 1,
    FL__INGESTION_TIME = 3
}; /* of fl_watermark_strategy.kind; 0: none given */
typedef struct fl__watermark_config {
    fl_watermark_strategy strategy;
    uint32_t field_offset; /* of the timestamp in the row, when field is not NULL */
    const fl_field *field;
    bool is_date; /* the field holds days */
    fl_timestamp_fn function;
    fl_duration idle_after;
    int64_t interval_ms; /* pipeline.auto-watermark-interval */
    uint64_t every_rows; /* flinc.watermark.every-records */
} fl__watermark_config;
extern const fl__operator_class fl__watermark_class, fl__timestamps_class;

/* Rolling aggregation on keyed streams: config is this. */
typedef struct fl__rolling_config {
    fl_rolling what;
    bool first; /* ties of min_by and max_by */
    const fl_field *field;
    uint32_t field_offset;
    const fl_type *order; /* min_by, max_by: what is compared, order_offset into the row */
    uint32_t order_offset;
    const void *initial; /* fold */
} fl__rolling_config;
extern const fl__operator_class fl__rolling_class, fl__reduce_class, fl__fold_class;

#endif
