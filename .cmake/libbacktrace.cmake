# SPDX-License-Identifier: MIT
# Looks for libbacktrace, which many gcc packages bring along and which stack traces in failures use if it is there.
#
# Sets FORKFLOW_HAS_LIBBACKTRACE and, if that is true, FORKFLOW_LIBBACKTRACE_INCLUDE_DIR (empty where the compiler
# finds <backtrace.h> by itself). clang++ links gcc's copy but does not look into gcc's own include directory, and
# must not: it is full of gcc's versions of clang's headers. So the one header is copied out of it.
include(CheckCXXSourceCompiles)
include(CMakePushCheckState)

function(forkflow_check_libbacktrace result include_dir)
    cmake_push_check_state(RESET)
    set(CMAKE_REQUIRED_INCLUDES ${include_dir})
    set(CMAKE_REQUIRED_LIBRARIES backtrace)
    if(BUILD_SHARED_LIBS) # asks more of the archive: it has to be position-independent
        set(CMAKE_REQUIRED_FLAGS -fPIC)
        set(CMAKE_REQUIRED_LINK_OPTIONS -shared)
    endif()
    check_cxx_source_compiles("
        #include <backtrace.h>
        int main() { return backtrace_create_state(nullptr, 0, nullptr, nullptr) == nullptr; }
        " ${result})
    cmake_pop_check_state()
endfunction()

function(forkflow_copy_backtrace_header destination)
    find_program(FORKFLOW_GXX NAMES g++ gcc c++)
    mark_as_advanced(FORKFLOW_GXX)
    set(header "")
    if(FORKFLOW_GXX)
        execute_process(COMMAND ${FORKFLOW_GXX} -print-file-name=include/backtrace.h
            OUTPUT_VARIABLE header OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
    if(NOT IS_ABSOLUTE "${header}" OR NOT EXISTS "${header}")
        file(GLOB header /usr/lib/gcc/*/*/include/backtrace.h)
        list(SORT header COMPARE NATURAL ORDER DESCENDING)
        list(POP_FRONT header header)
    endif()
    if(header)
        file(MAKE_DIRECTORY ${destination})
        configure_file(${header} ${destination}/backtrace.h COPYONLY)
    endif()
endfunction()

set(FORKFLOW_HAS_LIBBACKTRACE FALSE)
set(FORKFLOW_LIBBACKTRACE_INCLUDE_DIR "")
forkflow_check_libbacktrace(FORKFLOW_LIBBACKTRACE_WORKS "")
if(FORKFLOW_LIBBACKTRACE_WORKS)
    set(FORKFLOW_HAS_LIBBACKTRACE TRUE)
else()
    set(forkflow_header_copy ${PROJECT_BINARY_DIR}/libbacktrace)
    forkflow_copy_backtrace_header(${forkflow_header_copy})
    if(EXISTS ${forkflow_header_copy}/backtrace.h)
        forkflow_check_libbacktrace(FORKFLOW_LIBBACKTRACE_WORKS_WITH_COPIED_HEADER ${forkflow_header_copy})
    endif()
    if(FORKFLOW_LIBBACKTRACE_WORKS_WITH_COPIED_HEADER)
        set(FORKFLOW_HAS_LIBBACKTRACE TRUE)
        set(FORKFLOW_LIBBACKTRACE_INCLUDE_DIR ${forkflow_header_copy})
    endif()
endif()
if(NOT FORKFLOW_HAS_LIBBACKTRACE)
    message(STATUS "forkflow: no libbacktrace; stack traces show symbols only where the dynamic linker knows them")
endif()
