# tests/<module>/test_*.c: one program each, TAP on stdout, linked with that module (and what it uses).
# tests/<module>/fuzz_*.c: a libFuzzer target with clang, a corpus replayer otherwise.
function(mc_tests module)
  if(NOT TARGET mc_${module})
    return()
  endif()
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${module}/test_*.c)
  foreach(source ${tests})
    get_filename_component(name ${source} NAME_WE)
    set(target ${module}_${name})
    add_executable(${target} EXCLUDE_FROM_ALL ${source})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(${target} PRIVATE MC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_link_libraries(${target} PRIVATE mc_${module})
    add_dependencies(tests ${target})
    add_dependencies(tests_${module} ${target})
  endforeach()
  file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${module}/fuzz_*.c)
  foreach(source ${fuzzers})
    get_filename_component(name ${source} NAME_WE)
    set(target ${module}_${name})
    add_executable(${target} EXCLUDE_FROM_ALL ${source})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(${target} PRIVATE MC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_link_libraries(${target} PRIVATE mc_${module})
    if(CMAKE_C_COMPILER_ID MATCHES "Clang")
      # tools/fuzz.py compiles everything with -fsanitize=fuzzer-no-link, so that the libraries are instrumented too
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
      target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/corpus_replay.c)
    endif()
    add_dependencies(fuzzers ${target})
  endforeach()
endfunction()

add_custom_target(tests)
add_custom_target(fuzzers)
# What the programs read themselves - settings, options, files, answers - as a library for tests/app.
add_library(mc_app STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/src/app/motorcade/settings.c ${CMAKE_SOURCE_DIR}/src/app/motorcade/option.c
            ${CMAKE_SOURCE_DIR}/src/app/motorcade/local_file.c ${CMAKE_SOURCE_DIR}/src/app/motorcade/http_call.c ${CMAKE_SOURCE_DIR}/src/app/motorcade/text_file.c
            ${CMAKE_SOURCE_DIR}/src/app/motorcade/vehicle_list.c ${CMAKE_SOURCE_DIR}/src/app/motorcade/vss_text.c ${CMAKE_SOURCE_DIR}/src/app/motorcade/backup_manifest.c
            ${CMAKE_SOURCE_DIR}/src/app/motorcade/fleetwise_bundle.c ${CMAKE_SOURCE_DIR}/src/app/motorcade/fleetwise_import.c ${CMAKE_SOURCE_DIR}/src/app/motorcade/dry_run.c ${CMAKE_SOURCE_DIR}/src/app/motorcade-edge/options.c ${CMAKE_SOURCE_DIR}/src/app/motorcade-edge/config.c
            ${CMAKE_SOURCE_DIR}/src/app/motorcade-sim/options.c)
target_include_directories(mc_app PUBLIC ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(mc_app PUBLIC mc_base mc_signal mc_gateway mc_campaign mc_edge PkgConfig::JANSSON)
# The file layer without the kernel that keeps what a killed process wrote (tests/powercut/power_fs.c); who links it has it in front of the real one.
add_library(mc_powercut STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/powercut/power_fs.c ${CMAKE_SOURCE_DIR}/tests/powercut/power_names.c
            ${CMAKE_SOURCE_DIR}/tests/powercut/power_content.c)
target_include_directories(mc_powercut PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(mc_powercut PUBLIC mc_base)
target_link_options(mc_powercut INTERFACE -Wl,--wrap=mc_fs_posix)
# motorcade itself on that layer: what tests/system/test_kill_mixed.py starts.
add_executable(powercut_server EXCLUDE_FROM_ALL $<TARGET_OBJECTS:motorcade>)
set_target_properties(powercut_server PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests OUTPUT_NAME motorcade-powercut LINKER_LANGUAGE C)
target_link_libraries(powercut_server PRIVATE mc_powercut mc_sim mc_bench ${MC_MODULES})
foreach(module base format access signal journal db object net registry twin store geo gateway campaign fleet edge api aws sim app powercut)
  add_custom_target(tests_${module})
  mc_tests(${module})
endforeach()
# One table of rules for both users of the expression engine: the platform's compiler and the agent.
target_link_libraries(campaign_test_rules PRIVATE mc_edge)
# On the file layer that forgets what was not synced.
target_link_libraries(edge_test_agent_cuts PRIVATE mc_powercut)

# Counted, not run, by tools/hot_path.py: instructions a message on the way from PUBLISH to PUBACK and to a subscriber.
add_executable(gateway_hot_path EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/gateway/hot_path.c)
set_target_properties(gateway_hot_path PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_include_directories(gateway_hot_path PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
target_compile_definitions(gateway_hot_path PRIVATE MC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(gateway_hot_path PRIVATE mc_gateway)
# Likewise: policy decisions, on what `motorcade bench device` measures them on.
add_executable(access_policy_path EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/access/policy_path.c ${CMAKE_SOURCE_DIR}/bench/policy_load.c)
set_target_properties(access_policy_path PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_include_directories(access_policy_path PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(access_policy_path PRIVATE mc_access)
# Its allocator can fail on demand.
target_link_options(gateway_test_memory PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=strdup)
