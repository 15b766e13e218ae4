// SPDX-License-Identifier: MIT
// Calls that must not compile. Behind each stands a part of the sentence with which the compiler refuses it;
// refused_calls_test.sh looks for it.
#include <forkflow/call.hpp>

#include <functional>
#include <string>
#include <string_view>

using forkflow::call;

int length_of(const std::string& text);
int change(int& value);
int look(const int* value);
int view(std::string_view text);

void all(std::string text, int number) {
    call<int> captured([text] { return length_of(text); }); // this function object cannot be sent
    call<int> any(std::function<int()>([] { return 1; }));  // this function object cannot be sent
    call<int> member(&std::string::size, text);             // takes no pointer to a member
    call<int> pointer(look, &number);                       // a raw pointer means nothing in another process
    call<int> characters(length_of, "text");                // a raw pointer means nothing in another process
    call<int> reference([](int) { return 1; }, std::ref(number)); // a reference or a view does not own
    call<int> shown(view, std::string_view(text));                // a reference or a view does not own
    call<int> lvalue(change, number);                             // cannot be called with these arguments
    call<int> missing(length_of);                                 // cannot be called with these arguments
    call<std::string> other([] { return 1.5; });                  // does not convert to the call's R
    call<int&> result([]() -> int& {
        static int one = 1;
        return one;
    }); // takes no reference and no const
}
