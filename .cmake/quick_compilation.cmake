# SPDX-License-Identifier: MIT
# For the folder that includes this and those below it: less time to compile (half, for tests) what runs but once after
# most compilations, in the presets with assertions. nodes/ keeps its flags, and so does what is measured (Release).

string(REPLACE "-O2 -g" "-O1 -g1" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS_RELWITHDEBINFO MATCHES "-O1")
    add_compile_options(-Wno-maybe-uninitialized) # without -O2 it sees less, and warns of std::variant
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A fifth of the compiler's time would go into looking for memory to use again; it takes some 0.6 GiB at a time.
    add_compile_options("SHELL:--param ggc-min-heapsize=1000000")
endif()
