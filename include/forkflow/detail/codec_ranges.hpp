// SPDX-License-Identifier: MIT
// Codecs of strings, sequences and associative containers.
#pragma once

#include <algorithm>
#include <bitset>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <queue>
#include <set>
#include <span>
#include <stack>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <forkflow/detail/codec_core.hpp>

namespace forkflow::detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_too_long(std::uint64_t count,
                                                                  std::size_t remaining) {
    throw not_decodable("forkflow: a message claims " + std::to_string(count) + " elements, but has only " +
                        std::to_string(remaining) + " bytes left");
}

// A length, believed only if that many elements of at least `element_bytes` can follow.
inline std::size_t checked_count(std::uint64_t count, const reader& from, std::size_t element_bytes) {
    if (count > from.remaining() / element_bytes) [[unlikely]] {
        throw_too_long(count, from.remaining());
    }
    return static_cast<std::size_t>(count);
}

// Elements that are bytes: their number, padding, then all of them in one block, aligned so that they can be
// used in place (as far as payloads are aligned).
template <class T>
inline constexpr std::size_t block_alignment = std::min(alignof(T), nodes::payload_alignment);

template <class T>
void encode_block(const T* first, std::size_t count, writer& to) {
    to.write_value(static_cast<std::uint64_t>(count));
    if constexpr (alignof(T) > 1) {
        to.align(block_alignment<T>);
    }
    to.write(first, count * sizeof(T));
}

template <class T>
std::span<const std::byte> take_block(reader& from) {
    const auto claimed = from.read_value<std::uint64_t>();
    if constexpr (alignof(T) > 1) {
        from.align(block_alignment<T>);
    }
    return from.take(checked_count(claimed, from, sizeof(T)) * sizeof(T));
}

// The block as elements; the memory holds them since whoever encoded them copied them there.
template <class T>
std::span<const T> as_elements(std::span<const std::byte> block) {
    static_assert(alignof(T) <= nodes::payload_alignment);
    return {reinterpret_cast<const T*>(block.data()), block.size() / sizeof(T)};
}

// Each piece is checked while it is still in the processor's cache.
template <class Container, class T>
Container copied_in_pieces(reader& from, std::span<const T> elements) {
    constexpr std::size_t most = std::max<std::size_t>(nodes::check_block_bytes / sizeof(T), 1);
    Container container;
    container.reserve(elements.size());
    while (container.size() != elements.size()) {
        const auto rest = elements.subspan(container.size());
        const auto piece = rest.first(std::min(rest.size(), most));
        container.insert(container.end(), piece.data(), piece.data() + piece.size());
        from.was_copied(std::as_bytes(elements.first(container.size())));
    }
    return container;
}

template <class Container, class T>
Container decode_block(reader& from) {
    const std::span<const std::byte> block = take_block<T>(from);
    if constexpr (alignof(T) <= nodes::payload_alignment) {
        const auto elements = as_elements<T>(block);
        if constexpr (std::is_copy_assignable_v<T> && std::is_move_assignable_v<T>) { // for insert
            if (from.notes_copies_of(block.size())) {
                return copied_in_pieces<Container, T>(from, elements);
            }
        }
        return Container(elements.data(), elements.data() + elements.size());
    } else {
        Container container;
        container.reserve(block.size() / sizeof(T));
        reader elements(block);
        while (elements.remaining() != 0) {
            container.push_back(elements.read_value<T>());
        }
        return container;
    }
}

// Elements one by one. Each takes at least one byte, so that a length can be checked against what is there:
// if its codec writes nothing, a zero byte stands for it.
template <class T>
void encode_element(writer& to, const T& element) {
    const std::size_t before = to.size();
    forkflow::encode(to, element);
    if (to.size() == before) {
        to.write_value(std::byte{0});
    }
}

template <class T>
T decode_element(reader& from) {
    const std::size_t before = from.remaining();
    T element = forkflow::decode<T>(from);
    if (from.remaining() == before) {
        static_cast<void>(from.take(1));
    }
    return element;
}

// Takes memory ahead, but only within four times the bytes that are left: what a length claims is not yet
// there.
template <class Element, class Container>
void reserve(Container& container, std::size_t count, const reader& from) {
    if constexpr (requires { container.reserve(count); }) {
        container.reserve(std::min(count, from.remaining() / sizeof(Element) * 4 + 1));
    }
}

template <class Container, class Element>
struct range_codec {
    static void encode(const Container& container, writer& to) {
        to.write_value(static_cast<std::uint64_t>(container.size()));
        for (const Element& element : container) {
            encode_element(to, element);
        }
    }

    static Container decode(reader& from) {
        const std::size_t count = checked_count(from.read_value<std::uint64_t>(), from, 1);
        Container container;
        reserve<Element>(container, count, from);
        for (std::size_t i = 0; i != count; ++i) {
            if constexpr (requires { container.push_back(decode_element<Element>(from)); }) {
                container.push_back(decode_element<Element>(from));
            } else {
                container.insert(container.end(), decode_element<Element>(from));
            }
        }
        return container;
    }
};

template <class Map, class Key, class Value>
struct map_codec {
    static void encode(const Map& map, writer& to) {
        to.write_value(static_cast<std::uint64_t>(map.size()));
        for (const auto& [key, value] : map) {
            encode_element(to, key);
            forkflow::encode(to, value);
        }
    }

    static Map decode(reader& from) {
        const std::size_t count = checked_count(from.read_value<std::uint64_t>(), from, 1);
        Map map;
        reserve<std::pair<Key, Value>>(map, count, from);
        for (std::size_t i = 0; i != count; ++i) {
            Key key = decode_element<Key>(from);
            map.emplace_hint(map.end(), std::move(key), forkflow::decode<Value>(from));
        }
        return map;
    }
};

template <copied_as_bytes C, class Traits, class A>
struct standard_codec<std::basic_string<C, Traits, A>> : leaf_codec {
    using string = std::basic_string<C, Traits, A>;
    static void encode(const string& text, writer& to) { encode_block(text.data(), text.size(), to); }
    static string decode(reader& from) { return decode_block<string, C>(from); }
};

template <copied_as_bytes T, class A>
struct standard_codec<std::vector<T, A>> : leaf_codec {
    using vector = std::vector<T, A>;
    static void encode(const vector& elements, writer& to) {
        encode_block(elements.data(), elements.size(), to);
    }
    static vector decode(reader& from) { return decode_block<vector, T>(from); }
};

// std::filesystem::path, and Boost's, by what they have: most users of codecs do not need those headers.
template <class T>
concept native_path = std::constructible_from<T, typename T::string_type> && requires(const T& path) {
    T::preferred_separator;
    { path.native() } -> std::same_as<const typename T::string_type&>;
};

template <native_path T>
struct standard_codec<T> {
    static void encode(const T& path, writer& to) { forkflow::encode(to, path.native()); }
    static T decode(reader& from) { return T(forkflow::decode<typename T::string_type>(from)); }
};

// Eight elements to a byte.
template <class A>
struct standard_codec<std::vector<bool, A>> : leaf_codec {
    using vector = std::vector<bool, A>;

    static void encode(const vector& bits, writer& to) {
        to.write_value(static_cast<std::uint64_t>(bits.size()));
        for (std::size_t first = 0; first < bits.size(); first += 8) {
            unsigned char byte = 0;
            for (std::size_t i = 0; i != std::min<std::size_t>(8, bits.size() - first); ++i) {
                byte = static_cast<unsigned char>(byte | (bits[first + i] ? 1u << i : 0u));
            }
            to.write_value(byte);
        }
    }

    static vector decode(reader& from) {
        const auto claimed = from.read_value<std::uint64_t>();
        const std::size_t bytes = checked_count(claimed / 8 + (claimed % 8 != 0 ? 1 : 0), from, 1);
        const std::span<const std::byte> block = from.take(bytes);
        vector bits(static_cast<std::size_t>(claimed));
        for (std::size_t i = 0; i != bits.size(); ++i) {
            bits[i] = (block[i / 8] >> (i % 8) & std::byte{1}) != std::byte{0};
        }
        return bits;
    }
};

// A broken process may have set bits beyond the last; to flip all clears them.
template <std::size_t N>
struct standard_codec<std::bitset<N>> : leaf_codec {
    static void encode(const std::bitset<N>& bits, writer& to) { to.write_value(bits); }
    static std::bitset<N> decode(reader& from) { return ~from.read_value<std::bitset<N>>().flip(); }
};

template <copied_by_codec T, class A>
struct standard_codec<std::vector<T, A>> : range_codec<std::vector<T, A>, T> {};
template <encodable T, class A>
struct standard_codec<std::deque<T, A>> : range_codec<std::deque<T, A>, T> {};
template <encodable T, class A>
struct standard_codec<std::list<T, A>> : range_codec<std::list<T, A>, T> {};

// It does not know its length.
template <encodable T, class A>
struct standard_codec<std::forward_list<T, A>> {
    using list = std::forward_list<T, A>;

    static void encode(const list& elements, writer& to) {
        to.write_value(static_cast<std::uint64_t>(std::distance(elements.begin(), elements.end())));
        for (const T& element : elements) {
            encode_element(to, element);
        }
    }

    static list decode(reader& from) {
        const std::size_t count = checked_count(from.read_value<std::uint64_t>(), from, 1);
        list elements;
        auto last = elements.before_begin();
        for (std::size_t i = 0; i != count; ++i) {
            last = elements.insert_after(last, decode_element<T>(from));
        }
        return elements;
    }
};

template <encodable K, class C, class A>
struct standard_codec<std::set<K, C, A>> : range_codec<std::set<K, C, A>, K> {};
template <encodable K, class C, class A>
struct standard_codec<std::multiset<K, C, A>> : range_codec<std::multiset<K, C, A>, K> {};
template <encodable K, class H, class E, class A>
struct standard_codec<std::unordered_set<K, H, E, A>> : range_codec<std::unordered_set<K, H, E, A>, K> {};
template <encodable K, class H, class E, class A>
struct standard_codec<std::unordered_multiset<K, H, E, A>>
    : range_codec<std::unordered_multiset<K, H, E, A>, K> {};

template <encodable K, encodable V, class C, class A>
struct standard_codec<std::map<K, V, C, A>> : map_codec<std::map<K, V, C, A>, K, V> {};
template <encodable K, encodable V, class C, class A>
struct standard_codec<std::multimap<K, V, C, A>> : map_codec<std::multimap<K, V, C, A>, K, V> {};
template <encodable K, encodable V, class H, class E, class A>
struct standard_codec<std::unordered_map<K, V, H, E, A>>
    : map_codec<std::unordered_map<K, V, H, E, A>, K, V> {};
template <encodable K, encodable V, class H, class E, class A>
struct standard_codec<std::unordered_multimap<K, V, H, E, A>>
    : map_codec<std::unordered_multimap<K, V, H, E, A>, K, V> {};

// Adaptors are the containers that they hold; how these are ordered stays as it is.
template <class Adaptor>
struct adaptor_codec {
    using container = typename Adaptor::container_type;
    struct opened : Adaptor {
        static const container& inside(const Adaptor& adaptor) { return adaptor.*(&opened::c); }
        static container& inside(Adaptor& adaptor) { return adaptor.*(&opened::c); }
    };

    static void encode(const Adaptor& adaptor, writer& to) { forkflow::encode(to, opened::inside(adaptor)); }
    static Adaptor decode(reader& from) {
        Adaptor adaptor;
        opened::inside(adaptor) = forkflow::decode<container>(from);
        return adaptor;
    }
};

template <class T, encodable C>
struct standard_codec<std::queue<T, C>> : adaptor_codec<std::queue<T, C>> {};
template <class T, encodable C>
struct standard_codec<std::stack<T, C>> : adaptor_codec<std::stack<T, C>> {};
template <class T, encodable C, class Less>
struct standard_codec<std::priority_queue<T, C, Less>> : adaptor_codec<std::priority_queue<T, C, Less>> {};

} // namespace forkflow::detail
