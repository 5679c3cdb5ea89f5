/* BATCH mode's task with a keyed root that wants its input key by key (fl__operator_class.end_key): batches go to a
 * sorter per input; when all input has ended the rows come back by (key, timestamp, input, arrival) and are handed to
 * the root in batches of one key each, with end_key after the last of a key (Flink's SortingDataInput and
 * MultiInputSortingDataInput).
 *
 * Or with a root that spills by time (fl__operator_class.spills_by_time): batches go to the root until its memory is
 * used up, those after to a sorter; in the end these come by timestamp, with a watermark for the root after each batch,
 * so that it holds at no time more than then plus what one moment needs. Nothing of these watermarks goes further. */
#ifndef FL_STREAM_SORTED_H
#define FL_STREAM_SORTED_H

#include "stream/task.h"

/* NULL: the task's root does not ask for it. After the task's channels are known. */
fl__sorted *fl__sorted_new(fl__task *task);
void fl__sorted_free(fl__sorted *sorted); /* NULL: nothing */
/* Takes the rows of an input's batch (the batch stays the caller's); false: this input is not sorted, it goes to the
 * operator as it comes. */
bool fl__sorted_take(fl__sorted *sorted, unsigned input, const fl__batch *batch);
/* All input has ended: hands on some more rows. FL_OK: more to come; FL_AGAIN: the output is blocked; FL_DONE: that was
 * all. Failures: the task has failed. */
fl_status fl__sorted_step(fl__sorted *sorted);

#endif
