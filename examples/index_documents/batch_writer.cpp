// SPDX-License-Identifier: MIT
// Implements the last stage; the order of the outcomes is what makes its counting this simple.
#include "batch_writer.hpp"

namespace index_documents {

void batch_writer::write(const indexed_document& document) {
    index_.add(document);
    ++totals_.indexed;
    totals_.file_bytes += document.file_bytes;
    totals_.text_bytes += document.text.size();
    totals_.terms += document.terms;
}

void batch_writer::write(const failed_document& failure) {
    index_.add(failure);
    ++totals_.failed;
    ++totals_.failures_by_kind[failure.kind];
    reports_.failed(failure);
}

void batch_writer::write(const batch_done& batch) {
    try {
        const batch_counts counts = index_.finish_batch(batch);
        ++totals_.batches;
        reports_.committed(batch, counts);
    } catch (const batch_mismatch& mismatch) {
        ++totals_.errors;
        reports_.error(mismatch.what());
    }
}

} // namespace index_documents
