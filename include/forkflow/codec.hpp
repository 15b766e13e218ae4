// SPDX-License-Identifier: MIT
// How messages become bytes for another process, and values again: the customisation point codec<T>.
//
// What has a codec without further ado, nested in any way:
//   - trivially copyable types, as their bytes, padding included (no pointers, references, views, iterators);
//   - std::string and the other basic_strings, std::array, all containers and container adaptors of the
//     standard library, std::vector<bool>, std::bitset;
//   - std::pair, std::tuple, std::optional, std::variant, std::expected, std::complex, std::filesystem::path,
//     durations, time points and dates of std::chrono, std::error_code of the generic and the system
//     category;
//   - std::unique_ptr and std::shared_ptr, as the value that they point to or as null. Two shared pointers to
//     one value arrive as pointers to two; classes with virtual functions are not sent this way, as only
//     a part of the object would arrive, unless they are final.
// A trivially copyable class is taken as it is. If it is an aggregate and shows a pointer or a view among its
// first 16 members, or at the front of one of these, it is refused; deeper nobody looks. Nobody checks either
// that a bool or an enumeration inside it has one of its values. Where that matters, give it a codec.
//
// An aggregate whose members have codecs joins with one line; what the members are, it shows by itself:
//
//     template <> struct forkflow::codec<page> : forkflow::aggregate_codec<page> {};
//
// So do other classes, with a list of their members:
//
//     template <> struct forkflow::codec<page> : forkflow::members_codec<page, &page::url, &page::links> {};
//
// Types that have functions for cereal (https://uscilab.github.io/cereal/) join with forkflow/cereal.hpp.
//
// A body may take std::string_view or std::span<const T> for a std::string or std::vector<T>, or a view of
// yours, and then reads its request in place: see decodes_in_place in forkflow/detail/codec_views.hpp. It may
// also write its result in place: see forkflow/result_writer.hpp.
//
// Any other type joins by a specialisation:
//
//     template <> struct forkflow::codec<document> {
//         static void encode(const document& d, forkflow::writer& to) {
//             forkflow::encode(to, d.title);
//             forkflow::encode(to, d.words);
//         }
//         static document decode(forkflow::reader& from) {
//             auto title = forkflow::decode<std::string>(from);
//             auto words = forkflow::decode<std::vector<std::string>>(from);
//             return {std::move(title), std::move(words)};
//         }
//     };
//
// A specialisation wins over what is built in, also inside containers. It may be partial and constrained.
//
// On the wire: integers and lengths in the machine's own byte order; a length is 64 bits wide; elements that
// are bytes lie aligned and in one block, other elements one after another. Both sides are one program, so
// there are no versions and no type names.
#pragma once

#include <forkflow/detail/codec_core.hpp>

#include <forkflow/detail/codec_aggregates.hpp>
#include <forkflow/detail/codec_composites.hpp>
#include <forkflow/detail/codec_ranges.hpp>
#include <forkflow/detail/codec_views.hpp>
