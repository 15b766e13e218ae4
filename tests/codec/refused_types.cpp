// SPDX-License-Identifier: MIT
// Must not compile: each line with a comment "refused: ..." gives one error, which says that. See
// support/refused_lines_test.sh.
#include <forkflow/codec.hpp>
#include <forkflow/result_writer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct unknown {
    std::string text;
};
struct holds_pointer {
    const char* text;
    int length;
};
struct shape {
    virtual ~shape() = default;
};
class closed {
public:
    explicit closed(int given)
        : hidden_(given) {}

private:
    int hidden_;
};
struct base {
    std::string text;
};
struct derived : base {
    int number = 0;
};
struct c_array {
    std::string text;
    int numbers[3] = {};
};
struct constant {
    const std::string text;
};
struct seventeen {
    std::string a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q;
};
struct no_default {
    explicit no_default(int given)
        : text(std::to_string(given)) {}
    std::string text;
};

template <class T>
T decode_aggregate(forkflow::reader& from) {
    return forkflow::aggregate_codec<T>::decode(from);
}

[[maybe_unused]] void refused(forkflow::reader& from) {
    forkflow::require_encodable<int*>();                        // refused: a raw pointer means nothing
    forkflow::require_encodable<std::vector<const char*>>();    // refused: a raw pointer means nothing
    forkflow::require_encodable<std::string_view>();            // refused: a reference or a view does not own
    forkflow::require_encodable<std::span<const int>>();        // refused: a reference or a view does not own
    forkflow::require_encodable<std::reference_wrapper<int>>(); // refused: a reference or a view does not own
    forkflow::require_encodable<std::map<int, int>::iterator>(); // refused: a reference or a view does not
                                                                 // own
    forkflow::require_encodable<int[3]>();                       // refused: a C array cannot be sent
    forkflow::require_encodable<shape>();                        // refused: of a class with virtual functions
    forkflow::require_encodable<holds_pointer>(); // refused: has a pointer or a view among its members
    forkflow::require_encodable<unknown>();       // refused: if it is an aggregate, write
    forkflow::require_encodable<std::map<int, unknown>>(); // refused: if it is an aggregate, write
    decode_aggregate<closed>(from);                        // refused: aggregate_codec is for aggregates
    decode_aggregate<derived>(from);   // refused: does not see the members of a base class
    decode_aggregate<c_array>(from);   // refused: use std::array for this member
    decode_aggregate<constant>(from);  // refused: cannot make a member that is const
    decode_aggregate<seventeen>(from); // refused: takes at most 16 members
}
using needs_default = forkflow::members_codec<no_default, &no_default::text>;
[[maybe_unused]] needs_default no_arguments; // refused: makes a T without arguments
using no_block = forkflow::result_writer<std::map<int, int>>;
[[maybe_unused]] constexpr auto size = sizeof(no_block); // refused: a result that is written in place is

} // namespace
