/* Checkpoints of windows made of panes: each pane's table, how far windows have fired, and the states of the window
 * function. A late record is one after a restore as well: the operator's time is part of its state (Flink's is not). */
#include "operators/window_internal.h"

#include "state/table_restore.h"

static const fl_type *content_type(const fl__window_operator *w)
{
    return w->function == &fl__window_elements ? w->op.spec->in[0] : w->content_layout.type;
}

static void encode_list(const fl__window_operator *w, const fl__window_list *list, fl__buffer *out)
{
    fl__buffer_varint(out, list->count);
    for (uint32_t i = 0; i < list->count; i++)
        fl__encode(w->row_layout.type, list->rows + (size_t)i * w->row_layout.row_size, out);
}

static void encode_entry(const void *arg, const char *entry, fl__buffer *out)
{
    const fl__window_operator *w = arg;
    fl__encode(w->op.spec->key[0]->type, entry + w->key_offset, out);
    if (w->function == &fl__window_elements) {
        fl__window_list list;
        memcpy(&list, entry + w->content_offset, sizeof list);
        encode_list(w, &list, out);
        return;
    }
    fl__encode(w->content_layout.type, entry + w->content_offset, out);
    if (w->order_offset) {
        uint64_t order;
        memcpy(&order, entry + w->order_offset, sizeof order);
        fl__buffer_varint(out, order);
    }
}

void fl__window_snapshot(fl__operator *op, fl__snapshot *to)
{
    fl__window_operator *w = fl__window_of(op);
    fl__memory *memory = op->task->account.parent;
    w->run.span = 0;
    if (w->keyed)
        fl__keyed_snapshot(w->keyed, NULL, to, memory);
    fl__buffer *values = fl__snapshot_bytes(to, FL__BLOCK_VALUES);
    fl__block_put_int(values, w->time);
    fl__block_put_int(values, w->next_window);
    fl__buffer_varint(values, w->order);
    const fl__state_schema content = { .name = "window", .kind = FL_STATE_VALUE, .type = content_type(w) };
    fl__schema_block_write(fl__snapshot_bytes(to, FL__BLOCK_TABLE_SCHEMA), op->spec->key[0]->type, 0, &content, 1);
    for (size_t i = 0; i < w->pane_count; i++)
        fl__table_snapshot_begin(
            &w->panes[i]->table, to, FL__BLOCK_TABLE_PAGE, memory, (uint64_t)w->panes[i]->number, encode_entry, w);
}

static fl_status restore_list(fl__table_restore *r, fl__window_pane *pane, char *entry, fl__reader *in, fl_error *error)
{
    fl__window_operator *w = r->arg;
    uint64_t count;
    if (!fl__reader_varint(in, &count))
        return fl__blocks_corrupt(&r->from->blocks, error, "a window's number of records");
    void *row = fl__alloc_zero(r->from->memory, w->row_layout.row_size);
    fl_status status = FL_OK;
    for (uint64_t i = 0; i < count && status == FL_OK; i++) {
        status = fl__decode(w->row_layout.type, in, &r->scratch, row, error);
        if (status == FL_OK && entry)
            fl__window_list_add(
                w, fl__window_heap(pane), (fl__window_list *)(void *)(entry + w->content_offset), row, FL_NO_TIMESTAMP);
    }
    fl__free(r->from->memory, row, w->row_layout.row_size);
    return status;
}

static fl_status restore_value(
    fl__table_restore *r, fl__window_pane *pane, char *entry, fl__reader *in, fl_error *error)
{
    fl__window_operator *w = r->arg;
    uint64_t order = 0;
    fl_status status = fl__decode(r->type, in, &r->scratch, w->content_scratch, error);
    if (status == FL_OK && w->order_offset && !fl__reader_varint(in, &order))
        status = fl__blocks_corrupt(&r->from->blocks, error, "the order of a window's records");
    if (status != FL_OK || !entry)
        return status;
    memcpy(entry + w->content_offset, w->content_scratch, w->content_layout.row_size);
    if (!w->content_layout.is_flat)
        fl__value_own(&w->content_layout, entry + w->content_offset, fl__window_heap(pane));
    if (w->order_offset)
        memcpy(entry + w->order_offset, &order, sizeof order);
    return FL_OK;
}

static fl_status restore_entry(
    fl__table_restore *r, uint64_t label, uint64_t hash, const void *key, bool is_ours, fl__reader *in, fl_error *error)
{
    fl__window_operator *w = r->arg;
    fl__window_pane *pane = is_ours ? fl__window_get_pane(w, (int64_t)label) : NULL;
    bool is_new = true;
    char *entry = is_ours ? fl__table_get(&pane->table, hash, key, &is_new) : NULL;
    if (!is_new)
        return fl__blocks_corrupt(&r->from->blocks, error, "it has a key that came before");
    return w->function == &fl__window_elements ? restore_list(r, pane, entry, in, error)
                                               : restore_value(r, pane, entry, in, error);
}

/* All subtasks have seen the same watermarks before the barrier. */
static fl_status restore_values(fl__table_restore *r, fl__reader *in, fl_error *error)
{
    fl__window_operator *w = r->arg;
    int64_t time, next_window;
    uint64_t order;
    if (!fl__block_get_int(in, &time) || !fl__block_get_int(in, &next_window) || !fl__reader_varint(in, &order))
        return fl__blocks_corrupt(&r->from->blocks, error, "how far windows have fired");
    w->time = time > w->time ? time : w->time;
    w->next_window = next_window > w->next_window ? next_window : w->next_window;
    w->order = order > w->order ? order : w->order;
    return FL_OK;
}

fl_status fl__window_restore(fl__operator *op, fl__restored *from, fl_error *error)
{
    fl__window_operator *w = fl__window_of(op);
    fl_status status = FL_OK;
    if (w->keyed) {
        status = fl__keyed_restore(w->keyed, NULL, &op->ctx, from, error);
        fl__restored_rewind(from);
    }
    fl__table_restore restore = {
        .from = from,
        .key = op->spec->key[0],
        .what = "what the window keeps",
        .type = content_type(w),
        .arg = w,
        .entry = restore_entry,
        .values = restore_values,
    };
    if (status == FL_OK)
        status = fl__table_restore_run(&restore, error);
    if (status == FL_OK && w->is_processing_time)
        fl__window_set_timer(w);
    return status;
}
