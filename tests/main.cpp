// SPDX-License-Identifier: MIT
// The main function of every test program: Catch2's session, made safe for test cases that fork.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <cstdio>

#include <unistd.h>

namespace {

#if __has_include(<catch2/catch_session.hpp>)
using listener_base = Catch::EventListenerBase;
#else
using listener_base = Catch::TestEventListenerBase;
#endif

// A forked child that leaves its test case, for example through a failed REQUIRE, would go on with the test
// cases that follow and report them a second time. It ends here instead, with a status that its parent can
// tell apart.
class stray_child_listener : public listener_base {
public:
    using listener_base::listener_base;

    void testCaseEnded(const Catch::TestCaseStats&) override {
        constexpr int stray_child_status = 99;
        if (::getpid() != test_process_)
            ::_exit(stray_child_status);
    }

private:
    const ::pid_t test_process_ = ::getpid();
};

CATCH_REGISTER_LISTENER(stray_child_listener)

} // namespace

int main(int argc, char* argv[]) {
    // What stays in a buffer over a fork is printed twice.
    std::setvbuf(stdout, nullptr, _IONBF, 0);
    return Catch::Session().run(argc, argv);
}
