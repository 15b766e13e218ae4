// SPDX-License-Identifier: MIT
// Types that have cereal's functions are messages as they are; and what arrives broken is refused.
#include "support/survives.hpp"

#include <forkflow/cereal.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <cereal/types/base_class.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

using forkflow::not_decodable;
using forkflow_test::bytes;
using forkflow_test::claims;
using forkflow_test::decoded;
using forkflow_test::encoded;
using forkflow_test::random_source;
using forkflow_test::random_value;

namespace {

struct customer {
    std::string name;
    std::map<std::string, std::vector<double>> orders;
    bool active = false;
    bool operator==(const customer&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::make_nvp("name", name), orders, active);
    }
};

// Split functions outside of the class, a private default constructor, a version.
class parcel {
public:
    explicit parcel(std::vector<std::string> given)
        : labels(std::move(given)) {}
    std::vector<std::string> labels;
    bool operator==(const parcel&) const = default;

private:
    friend class cereal::access;
    parcel() = default;
};
template <class Archive>
void save(Archive& archive, const parcel& value, std::uint32_t version) {
    archive(version, value.labels);
}
template <class Archive>
void load(Archive& archive, parcel& value, std::uint32_t version) {
    std::uint32_t written = 0;
    archive(written, value.labels);
    if (written != version) {
        throw cereal::Exception("another version");
    }
}

struct identifier {
    std::string text;
    bool operator==(const identifier&) const = default;
    template <class Archive>
    std::string save_minimal(const Archive&) const {
        return text;
    }
    template <class Archive>
    void load_minimal(const Archive&, const std::string& loaded) {
        text = loaded;
    }
};

struct chain {
    std::unique_ptr<chain> next;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(next);
    }
};

struct twins {
    std::shared_ptr<std::string> left;
    std::shared_ptr<std::string> right;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(left, right);
    }
};

struct not_twins {
    std::shared_ptr<std::string> text;
    std::shared_ptr<std::vector<double>> numbers;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text, numbers);
    }
};

struct shape {
    virtual ~shape() = default;
    [[nodiscard]] virtual double area() const = 0;
};
struct square : shape {
    double side = 0;
    [[nodiscard]] double area() const override { return side * side; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(side);
    }
};
struct drawing {
    std::unique_ptr<shape> only;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(only);
    }
};

struct without_functions {
    std::string text;
};

} // namespace

CEREAL_CLASS_VERSION(parcel, 3)
CEREAL_REGISTER_TYPE(square)
CEREAL_REGISTER_POLYMORPHIC_RELATION(shape, square)

template <>
struct forkflow_test::random_maker<customer> {
    static customer make(random_source& source) {
        return {random_value<std::string>(source),
                random_value<std::map<std::string, std::vector<double>>>(source), random_value<bool>(source)};
    }
};
template <>
struct forkflow_test::random_maker<parcel> {
    static parcel make(random_source& source) {
        return parcel(random_value<std::vector<std::string>>(source));
    }
};
template <>
struct forkflow_test::random_maker<identifier> {
    static identifier make(random_source& source) { return {random_value<std::string>(source)}; }
};

TEMPLATE_TEST_CASE("a type with cereal's functions survives; a damaged encoding does no harm", "[codec]",
                   customer, identifier, std::vector<customer>, (std::pair<int, std::optional<customer>>)) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        INFO("seed " << seed);
        random_source source(seed);
        forkflow_test::survives<TestType>(source);
    }
}

TEST_CASE("cereal's versions and private constructors work", "[codec]") {
    random_source source(1);
    const auto value = random_value<parcel>(source);
    CHECK(decoded<parcel>(encoded(value)) == value);
    bytes message = encoded(value);
    message.front() ^= std::byte{1};
    CHECK_THROWS_AS(decoded<parcel>(message), cereal::Exception);
}

TEST_CASE("shared objects stay shared, and derived ones derived", "[codec]") {
    twins pair{std::make_shared<std::string>("one"), nullptr};
    pair.right = pair.left;
    const auto arrived = decoded<twins>(encoded(pair));
    CHECK(*arrived.left == "one");
    CHECK(arrived.left == arrived.right);

    auto nine = std::make_unique<square>();
    nine->side = 3;
    const auto drawn = decoded<drawing>(encoded(drawing{std::move(nine)}));
    REQUIRE(drawn.only);
    CHECK(drawn.only->area() == 9);
}

TEST_CASE("cereal believes no length that the bytes do not allow, and no endless nesting", "[codec]") {
    for (const std::uint64_t count : {~std::uint64_t{0}, std::uint64_t{1} << 63U, std::uint64_t{1} << 40U}) {
        CHECK_THROWS_AS(decoded<customer>(claims(count, 100)), not_decodable);
        CHECK_THROWS_AS(decoded<identifier>(claims(count, 100)), not_decodable);
    }
    const bytes endless(100'000, std::byte{1}); // 1: a pointer that is not null
    CHECK_THROWS_AS(decoded<chain>(endless), not_decodable);
}

TEST_CASE("a shared pointer to an object of another type is refused", "[codec]") {
    const not_twins whole{std::make_shared<std::string>("text"),
                          std::make_shared<std::vector<double>>(2, 1.5)};
    const auto arrived = decoded<not_twins>(encoded(whole));
    CHECK(*arrived.text == "text");
    CHECK(*arrived.numbers == *whole.numbers);
    const not_twins half{whole.text, nullptr};
    bytes message = encoded(half);
    const std::uint32_t first_object = 1;
    std::memcpy(message.data() + message.size() - sizeof(first_object), &first_object, sizeof(first_object));
    CHECK_THROWS_AS(decoded<not_twins>(message), not_decodable);
    const std::uint32_t no_object = 77;
    std::memcpy(message.data() + message.size() - sizeof(no_object), &no_object, sizeof(no_object));
    CHECK_THROWS_AS(decoded<not_twins>(message), not_decodable);
}

TEST_CASE("a type without cereal's functions stays without a codec", "[codec]") {
    STATIC_REQUIRE_FALSE(forkflow::encodable<without_functions>);
    STATIC_REQUIRE_FALSE(forkflow::encodable<std::vector<without_functions>>);
    STATIC_REQUIRE(forkflow::encodable<std::vector<customer>>);
}

TEST_CASE("a node takes and gives types with cereal's functions", "[codec]") {
    tbb::flow::graph g;
    forkflow::ordered_process_node<identifier, customer> look_up(g, 2, [](const identifier& id) {
        return customer{id.text, {{"orders", {1, 2}}}, true};
    });
    tbb::flow::queue_node<customer> found(g);
    tbb::flow::make_edge(look_up, found);
    look_up.try_put(identifier{"7"});
    g.wait_for_all();
    customer first;
    REQUIRE(found.try_get(first));
    CHECK(first == customer{"7", {{"orders", {1, 2}}}, true});
}
