// SPDX-License-Identifier: MIT
// The work of the worker processes: from a path to what the index needs of the document.
#pragma once

#include "document.hpp"

#include <cstddef>

namespace index_documents {

/// The most bytes that are taken from one document: of the file, uncompressed, and of its text.
inline constexpr std::size_t max_document_bytes = 8u << 20;

/// The most bytes that an indexed_document needs when it is handed on: its text and, generously, all else.
inline constexpr std::size_t max_indexed_document_bytes = max_document_bytes + (64u << 10);

/// Reads, decompresses, extracts and counts one document.
/// \throws what document_errors.hpp defines
indexed_document analyse_document(const document& source);

} // namespace index_documents
