// SPDX-License-Identifier: MIT
// Why a document cannot be indexed. The type's name is what failures are counted by in the summary.
#pragma once

#include <stdexcept>

namespace index_documents {

/// Cannot be opened or read: no permission, a link to nowhere, an input/output error.
struct unreadable_file : std::runtime_error {
    using runtime_error::runtime_error;
};

/// A directory that cannot be listed.
struct unreadable_directory : std::runtime_error {
    using runtime_error::runtime_error;
};

/// A pipe, socket or device: never opened, because opening it could block or have effects.
struct special_file : std::runtime_error {
    using runtime_error::runtime_error;
};

/// More bytes than this program takes from one document, as stored, uncompressed or extracted.
struct oversized_file : std::runtime_error {
    using runtime_error::runtime_error;
};

/// Compressed data that ends too early or contradicts itself.
struct damaged_file : std::runtime_error {
    using runtime_error::runtime_error;
};

/// Not text.
struct binary_file : std::runtime_error {
    using runtime_error::runtime_error;
};

} // namespace index_documents
