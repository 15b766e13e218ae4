// SPDX-License-Identifier: MIT
// Types that have functions for cereal (https://uscilab.github.io/cereal/) and no codec get one from it:
// include this header, and there is nothing more to write. cereal itself is not part of forkflow (package
// libcereal-dev).
//
// What forkflow/codec.hpp lists keeps its own codec, and so does a class of yours that is trivially copyable
// or has a codec. Where cereal takes over, all that is inside goes through it, so its headers are needed
// there (cereal/types/vector.hpp and so on). That makes possible what codecs alone do not do: std::shared_ptr
// to one object arrive as pointers to one, and with cereal/types/polymorphic.hpp and CEREAL_REGISTER_TYPE
// (behind this header) pointers to a base arrive as what they were.
//
// A process that is broken can make shared pointers that lead round in a ring, if the types allow it: what
// hangs on such a ring is never freed. Use std::unique_ptr or std::weak_ptr where that matters.
//
// Bytes that a broken process wrote make the message a failure, as always: lengths are believed only if as
// many bytes are left. So elements of which cereal writes nothing (empty classes) cannot be counted: a
// container that holds more of them than there are bytes behind its length is refused.
#pragma once

#include <cereal/cereal.hpp>
#include <cereal/types/memory.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <unordered_map>
#include <utility>

#include <forkflow/codec.hpp>

namespace forkflow {

/// cereal's way to write a message. An output archive like any other, for functions that tell archives apart.
class cereal_output : public cereal::OutputArchive<cereal_output, cereal::AllowEmptyClassElision> {
public:
    explicit cereal_output(writer& to)
        : OutputArchive(this)
        , to_(to) {}

    /// As every archive's; each level of a nested value comes through here.
    template <class... Values>
    cereal_output& operator()(Values&&... values) {
        const auto level = to_.enter();
        return OutputArchive::operator()(std::forward<Values>(values)...);
    }

    /// Appends `size_bytes` bytes.
    void write(const void* from, std::size_t size_bytes) { to_.write(from, size_bytes); }

private:
    writer& to_;
};

/// cereal's way to read a message. An input archive like any other, for functions that tell archives apart.
class cereal_input : public cereal::InputArchive<cereal_input, cereal::AllowEmptyClassElision> {
public:
    explicit cereal_input(reader& from)
        : InputArchive(this)
        , from_(from) {}

    /// As every archive's; each level of a nested value comes through here.
    template <class... Values>
    cereal_input& operator()(Values&&... values) {
        const auto level = from_.enter();
        return InputArchive::operator()(std::forward<Values>(values)...);
    }

    /// Copies the next `size_bytes` bytes. Throws not_decodable if fewer are left.
    void read(void* to, std::size_t size_bytes) { from_.read(to, size_bytes); }

    /// The next bytes as a value that is its bytes. Throws not_decodable.
    template <class T>
    [[nodiscard]] T read_value() {
        return from_.read_value<T>();
    }

    /// The number of elements that follow. Throws not_decodable if there are fewer bytes left than that.
    [[nodiscard]] std::uint64_t read_count() {
        return detail::checked_count(from_.read_value<std::uint64_t>(), from_, 1);
    }

    // cereal knows a shared object again by a number, and trusts that number to mean an object of the right
    // type. Here the type is remembered with it. The names are cereal's.
    template <class T>
    void registerSharedPointer(std::uint32_t id, const std::shared_ptr<T>& object) { // NOLINT
        types_.insert_or_assign(id & ~cereal::detail::msb_32bit, typeid(T));
        InputArchive::registerSharedPointer(id, object);
    }
    std::shared_ptr<void> getSharedPointer(std::uint32_t id) { // NOLINT
        const auto type = types_.find(id);
        if (id != 0 && (type == types_.end() || expected_ == nullptr || type->second != *expected_)) {
            throw not_decodable("forkflow: a shared pointer leads to an object of another type, or to none");
        }
        return InputArchive::getSharedPointer(id);
    }
    template <class T>
    friend void prologue(cereal_input& from,
                         const cereal::memory_detail::PtrWrapper<std::shared_ptr<T>&>& /*loaded*/) {
        from.expected_ = &typeid(T);
    }

private:
    reader& from_;
    std::unordered_map<std::uint32_t, std::type_index> types_;
    const std::type_info* expected_ = nullptr; // of the shared pointer that comes next
};

// What every archive of cereal has to do itself: numbers, lengths, blocks of bytes, named values. The names
// are those that cereal looks for.

template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(cereal_output& to, const T& value) {
    to.write(std::addressof(value), sizeof(T));
}
template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(cereal_input& from, T& value) {
    value = from.read_value<T>();
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(cereal_output& to, const cereal::SizeTag<T>& count) {
    const auto value = static_cast<std::uint64_t>(count.size);
    to.write(&value, sizeof(value));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(cereal_input& from, cereal::SizeTag<T>& count) {
    count.size = static_cast<std::remove_reference_t<T>>(from.read_count());
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(cereal_output& to, const cereal::BinaryData<T>& block) {
    to.write(block.data, static_cast<std::size_t>(block.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(cereal_input& from, cereal::BinaryData<T>& block) {
    from.read(block.data, static_cast<std::size_t>(block.size));
}

template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(cereal_output& to, cereal::NameValuePair<T>& named) {
    to(named.value);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(cereal_input& from, cereal::NameValuePair<T>& named) {
    from(named.value);
}

namespace detail {
// Standard composites: what lacks a codec there is a part, and cereal would say less readably that it cannot
// help either.
template <class T>
inline constexpr bool parts_lack_codec = requires {
    std::tuple_size<T>::value;
}
|| requires {
    std::variant_size<T>::value;
};
template <class T>
requires requires {
    typename T::value_type;
}
inline constexpr bool parts_lack_codec<T> = !encodable<typename T::value_type>;

// Has functions for cereal, and nothing that is built in.
template <class T>
concept only_for_cereal = std::is_class_v<T> && !std::is_empty_v<T> && !requires(reader & from) {
    standard_codec<T>::decode(from);
}
&&!parts_lack_codec<T> && cereal::traits::is_output_serializable<T, cereal_output>::value &&
    cereal::traits::is_input_serializable<T, cereal_input>::value;
} // namespace detail

template <detail::only_for_cereal T>
struct codec<T> {
    static void encode(const T& value, writer& to) {
        cereal_output archive(to);
        archive(value);
        archive.serializeDeferments();
    }

    static T decode(reader& from) {
        cereal_input archive(from);
        const std::unique_ptr<T> value(cereal::access::construct<T>());
        archive(*value);
        archive.serializeDeferments();
        return std::move(*value);
    }
};

} // namespace forkflow

CEREAL_REGISTER_ARCHIVE(forkflow::cereal_output)
CEREAL_REGISTER_ARCHIVE(forkflow::cereal_input)
CEREAL_SETUP_ARCHIVE_TRAITS(forkflow::cereal_input, forkflow::cereal_output)
