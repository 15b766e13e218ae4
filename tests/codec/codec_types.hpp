// SPDX-License-Identifier: MIT
// Types that the tests of codecs send: plain ones, ones with codecs of their own, and containers that refuse
// to take much memory.
#pragma once

#include "support/random_values.hpp"

#include <forkflow/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace codec_types {

struct point {
    std::int32_t x = 0;
    double y = 0;
    bool operator==(const point&) const = default;
};
struct no_default {
    explicit no_default(int given)
        : value(given) {}
    int value;
    bool operator==(const no_default&) const = default;
};
struct nothing {
    bool operator==(const nothing&) const = default;
};
struct alignas(64) over_aligned {
    int value = 0;
    bool operator==(const over_aligned&) const = default;
};
enum class colour : std::uint8_t { red, green };

// Types with codecs of their own, below: one that refers to itself, one that is trivially copyable all the
// same, and one that writes nothing.
struct tree {
    int value = 0;
    std::vector<tree> children;
    bool operator==(const tree&) const = default;
};
struct negated {
    int value = 0;
    bool operator==(const negated&) const = default;
};
struct unwritten {
    std::string always = "the same";
    bool operator==(const unwritten&) const = default;
};

// A template that joins with one line.
template <class T>
struct wrapped {
    std::string name;
    T inside{};
    bool operator==(const wrapped&) const = default;
};

// An aggregate, and a view of what it is encoded as.
struct page {
    std::string url;
    std::vector<int> links;
};
struct page_view {
    std::string_view url;
    std::span<const int> links;
};

// Stops the test's own containers from asking for more than the test allows.
inline std::size_t allocation_limit = std::numeric_limits<std::size_t>::max();
struct over_allocation : std::logic_error {
    using std::logic_error::logic_error;
};
template <class T>
struct limited_allocator : std::allocator<T> {
    using value_type = T;
    template <class U>
    struct rebind {
        using other = limited_allocator<U>;
    };
    limited_allocator() = default;
    template <class U>
    limited_allocator(const limited_allocator<U>&) {
    } // NOLINT(google-explicit-constructor): as allocators convert
    T* allocate(std::size_t count) {
        if (count > allocation_limit / sizeof(T)) {
            throw over_allocation("asked for " + std::to_string(count) + " elements");
        }
        return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(alignof(T))));
    }
    void deallocate(T* at, std::size_t) { ::operator delete(at, std::align_val_t(alignof(T))); }
};
template <class T>
using limited_vector = std::vector<T, limited_allocator<T>>;
using limited_string = std::basic_string<char, std::char_traits<char>, limited_allocator<char>>;

} // namespace codec_types

template <class T>
struct forkflow::codec<codec_types::wrapped<T>> : forkflow::aggregate_codec<codec_types::wrapped<T>> {};
template <>
struct forkflow::codec<codec_types::page> : forkflow::aggregate_codec<codec_types::page> {};
template <>
struct forkflow::codec<codec_types::page_view> {
    using encoded_as = codec_types::page;
    static codec_types::page_view decode(reader& from) {
        const auto url = forkflow::decode_view<std::string_view>(from);
        return {url, forkflow::decode_view<std::span<const int>>(from)};
    }
};
template <>
struct forkflow::codec<codec_types::tree> {
    static void encode(const codec_types::tree& value, writer& to) {
        forkflow::encode(to, value.value);
        forkflow::encode(to, value.children);
    }
    static codec_types::tree decode(reader& from) {
        const int value = forkflow::decode<int>(from);
        return {value, forkflow::decode<std::vector<codec_types::tree>>(from)};
    }
};
template <>
struct forkflow::codec<codec_types::negated> {
    static void encode(const codec_types::negated& value, writer& to) { forkflow::encode(to, ~value.value); }
    static codec_types::negated decode(reader& from) { return {~forkflow::decode<int>(from)}; }
};
template <>
struct forkflow::codec<codec_types::unwritten> {
    static void encode(const codec_types::unwritten&, writer&) {}
    static codec_types::unwritten decode(reader&) { return {}; }
};
template <>
struct forkflow_test::random_maker<codec_types::point> {
    static codec_types::point make(random_source& source) {
        return {random_value<int>(source), random_value<double>(source)};
    }
};
template <>
struct forkflow_test::random_maker<codec_types::nothing> {
    static codec_types::nothing make(random_source&) { return {}; }
};
template <>
struct forkflow_test::random_maker<codec_types::unwritten> {
    static codec_types::unwritten make(random_source&) { return {}; }
};
template <>
struct forkflow_test::random_maker<codec_types::negated> {
    static codec_types::negated make(random_source& source) { return {random_value<int>(source)}; }
};
template <>
struct forkflow_test::random_maker<codec_types::over_aligned> {
    static codec_types::over_aligned make(random_source& source) { return {random_value<int>(source)}; }
};
template <class T>
struct forkflow_test::random_maker<codec_types::wrapped<T>> {
    static codec_types::wrapped<T> make(random_source& source) {
        return {random_value<std::string>(source), random_value<T>(source)};
    }
};
template <>
struct forkflow_test::random_maker<codec_types::tree> {
    static codec_types::tree make(random_source& source) {
        codec_types::tree root{random_value<int>(source), {}};
        for (std::size_t i = random_below(source, 4) % 3; i != 0; --i) {
            root.children.push_back(make(source));
        }
        return root;
    }
};
