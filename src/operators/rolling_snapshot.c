/* Checkpoints of rolling aggregations: key and result so far, by key. */
#include "operators/rolling_internal.h"

#include "state/table_restore.h"

static void encode_entry(const void *arg, const char *entry, fl__buffer *out)
{
    const fl__rolling_operator *self = arg;
    fl__encode(self->table.key.type, entry + self->table.key_offset, out);
    fl__encode(self->op.spec->out, entry + self->value_offset, out);
}

void fl__rolling_snapshot(fl__operator *op, fl__snapshot *to)
{
    fl__rolling_operator *self = (fl__rolling_operator *)op;
    const fl__state_schema value = { .name = "value", .kind = FL_STATE_VALUE, .type = op->spec->out };
    fl__schema_block_write(
        fl__snapshot_bytes(to, FL__BLOCK_TABLE_SCHEMA), self->table.key.type, self->table.slot_bits, &value, 1);
    fl__table_snapshot_begin(&self->table, to, FL__BLOCK_TABLE_PAGE, op->task->account.parent, 0, encode_entry, self);
}

static fl_status restore_entry(
    fl__table_restore *r, uint64_t label, uint64_t hash, const void *key, bool is_ours, fl__reader *in, fl_error *error)
{
    (void)label;
    fl__rolling_operator *self = r->arg;
    fl_status status = fl__decode(r->type, in, &r->scratch, self->old, error);
    if (status != FL_OK || !is_ours)
        return status;
    bool is_new;
    char *entry = fl__table_get(&self->table, hash, key, &is_new);
    if (!is_new)
        return fl__blocks_corrupt(&r->from->blocks, error, "it has a key that came before");
    fl__rolling_start(self, entry, self->old);
    return FL_OK;
}

fl_status fl__rolling_restore(fl__operator *op, fl__restored *from, fl_error *error)
{
    fl__rolling_operator *self = (fl__rolling_operator *)op;
    fl__table_restore restore = {
        .from = from,
        .key = &self->table.key,
        .what = "the result",
        .type = op->spec->out,
        .arg = self,
        .entry = restore_entry,
    };
    return fl__table_restore_run(&restore, error);
}
