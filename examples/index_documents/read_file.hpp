// SPDX-License-Identifier: MIT
// From a path to uncompressed bytes: reads regular files only, never blocks on special ones, inflates gzip.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace index_documents {

/// Reads a regular file (or a link to one) whole.
/// \throws unreadable_file, unreadable_directory, special_file; oversized_file if it has more than
/// `limit_bytes`
std::string read_file(const std::string& path, std::size_t limit_bytes);

/// True if the bytes begin like a gzip file.
bool looks_like_gzip(std::string_view bytes);

/// Inflates a gzip file of one or more members; zero bytes behind the last one are padding.
/// \throws damaged_file; oversized_file if there are more than `limit_bytes` inside (never allocates much
/// more)
std::string inflate_gzip(std::string_view compressed, std::size_t limit_bytes);

} // namespace index_documents
