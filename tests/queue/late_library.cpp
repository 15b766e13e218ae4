// SPDX-License-Identifier: MIT
// A library that the test of calls loads when it is too late, or just in time.

extern "C" int forkflow_test_twice(int value) {
    return 2 * value;
}
