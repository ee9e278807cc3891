"""An origin's answers without its sockets: the network's place is taken by a MockAdapter, and the policies are as ever.

What is about the network itself is left out of that, by the table at the end, with its reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from atomhttp import AdapterResponse, Headers
from atomhttp.testing import MockAdapter, MockRequest
from support.origin import CHUNK, Answer, Origin, Received

# Fixtures that stand for a network.
NETWORK_FIXTURES: Final = ("certificates", "nginx", "tls_origin")
# As many parameter sets of a test are run here: the other flavours go through all of them, and what can be lost between
# a policy and an adapter is lost for the first.
SETS: Final = 1


def mock_of_origins() -> MockAdapter:
    """Answers requests to the test's origins as they would, without their sockets."""
    adapter = MockAdapter()
    adapter.on("*", "*", reply=_answer_by_origin)
    return adapter


async def _answer_by_origin(request: MockRequest) -> AdapterResponse:
    origin = _find_origin(request.target.port)
    # As a server reads them, and as a client does: what each makes of the bytes is not the same.
    fields = [(name, value.encode().decode("latin-1")) for name, value in request.headers.multi_items()]
    received = Received(request.method, request.target.path, "HTTP/1.1", fields, request.body, 0)
    with origin.change:
        origin.requests.append(received)
        origin.change.notify_all()
    # On a thread, as an origin does: some of its answers wait for the test.
    answer = await _on_a_thread(partial(origin._answer, received))
    headers = Headers.from_raw((name.encode(), value.strip(" \t").encode("latin-1")) for name, value in answer.headers)
    if answer.close or request.headers.get("connection") == "close":
        headers.set("Connection", "close")
    return AdapterResponse(answer.status, headers, _content(answer))


async def _on_a_thread(function: Callable[[], Answer]) -> Answer:
    """What `function` gives. Not by the engine's threads: they owe its reactor an answer, and a test may end before."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def settle(result: Any, error: Exception | None) -> None:
        if not future.done():
            future.set_exception(error) if error is not None else future.set_result(result)

    def work() -> None:
        result, failed = None, None
        try:
            result = function()
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=work, name="origin-answer", daemon=True).start()
    return await future


def _find_origin(port: int) -> Origin:
    # What was there before the test is frozen, so that there is little to look through (`support.leaks`).
    for each in gc.get_objects():
        if issubclass(type(each), Origin) and each.port == port:
            return each
    raise AssertionError(
        f"no origin of this test is at port {port}: only an Origin can answer in process, "
        "and a test that needs more is named in contract/mocked.py"
    )


def _content(answer: Answer) -> Any:
    if not answer.chunked:
        return answer.body
    return iter([answer.body[start : start + CHUNK] for start in range(0, len(answer.body), CHUNK)])


def reason_to_leave_out(module: str, test: str, fixtures: Any) -> str | None:
    """Why the test is not run without a network; None when it is."""
    if module in LEFT_OUT_FILES:
        return LEFT_OUT_FILES[module]
    if any(name in fixtures for name in NETWORK_FIXTURES):
        return "needs a real server, or TLS"
    return next((reason for reason, files in LEFT_OUT.items() if test in files.get(module, ())), None)


LEFT_OUT_FILES: Final = {
    "test_mock_adapter": "brings its own mocks",
    "test_asgi_adapter": "brings its own applications",
    "test_all_and_spread": "about what is on the way at once, on how many connections",
    "test_life": "about pools, loops and processes",
    "test_download": "about connections that break off, and brings its own mock",
    "test_routing": "about sockets, TLS and the pool's keys",
    "test_timeouts": "about the phases of a connection",
    "test_cancellation": "about what is broken off, and the connection it was on",
    "test_resolution": "about names, addresses and where connections come from",
    "test_address_guard": "about the addresses that connect() is given",
    "test_pool_stats": "about connections",
    "test_adapter_options": "about the adapter of the network",
    "test_secrets": "about the errors of a network",
}

LEFT_OUT: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "talks to a scripted peer, to a unix socket, or to where nobody is": {
        "test_auth": (
            "test_a_flow_is_closed_when_sending_fails",
            "test_a_retry_after_a_dead_connection_goes_out_on_a_new_one",
            "test_an_error_for_a_stream_leaves_nothing_open",
            "test_an_exception_in_a_flow_passes_through",
            "test_the_safe_resend_is_the_same_request",
        ),
        "test_cookies": (
            "test_a_flood_beyond_the_limits_of_a_head_is_refused",
            "test_an_error_of_the_network_has_the_request_that_was_sent",
            "test_the_safe_resend_and_a_retry_of_the_network_take_them_along",
        ),
        "test_interceptors": (
            "test_err_runs_for_the_network",
            "test_err_runs_for_whatever_ends_a_call",
            "test_exceptions_of_user_functions_pass_through_unwrapped_with_their_own_traceback",
            "test_is_response_handlers_do_not_run_when_nothing_was_received",
            "test_the_stream_of_a_call_that_an_interceptor_fails_is_closed",
            "test_the_stream_of_a_call_whose_interceptor_answers_otherwise_is_the_interceptors",
        ),
        "test_limits": (
            "test_a_stream_fails_where_it_crosses_and_not_before",
            "test_an_answer_that_comes_before_the_upload_is_done_is_limited",
            "test_an_endless_stream_ends_at_the_limit",
            "test_content_length_fails_early",
            "test_what_crosses_is_not_sent",
        ),
        "test_logging": ("test_nothing_is_logged_at_info",),
        "test_max_rate": (
            "test_a_stream_closed_early_closes_its_connection",
            "test_the_server_is_held_back",
        ),
        "test_params_and_urls": ("test_a_host_in_unicode_becomes_an_a_label",),
        "test_part_two": (
            "test_a_body_cut_short_comes_with_its_response",
            "test_a_body_cut_short_is_err_bad_response",
            "test_allowed_socket_paths_of_a_call_replace_the_clients",
            "test_codes_of_the_system_pass_through_and_the_cause_is_kept",
        ),
        "test_progress": (
            "test_a_slow_callback_holds_the_server_back",
            "test_an_answer_that_comes_early_ends_the_count",
            "test_an_exception_in_a_download_callback_aborts_and_reaches_the_caller",
            "test_an_exception_in_an_upload_callback_aborts_and_reaches_the_caller",
            "test_it_is_told_while_the_content_arrives",
            "test_of_a_stream_it_is_told_as_it_is_read",
            "test_sent_bytes_count_when_the_socket_took_them",
            "test_the_line_of_a_bar_ends_when_the_transfer_fails",
            "test_the_one_safe_resend_starts_again_from_0",
        ),
        "test_redirects": (
            "test_a_head_may_be_redirected_whatever_it_says_of_its_size",
            "test_a_hop_that_meets_a_dead_connection_is_judged_by_its_own_method",
            "test_a_post_that_meets_a_dead_connection_is_not_sent_again",
            "test_a_server_may_redirect_before_it_has_read_the_content",
            "test_a_stream_follows_a_redirect_whose_content_is_cut_off",
            "test_an_error_on_a_later_hop_says_which",
            "test_an_exception_in_before_redirect_ends_the_call_unwrapped",
            "test_an_http_unix_url_serves_the_redirects_of_its_socket",
            "test_an_origin_may_close_after_its_redirect",
            "test_socket_path_never_applies_to_a_redirect_that_leaves_the_origin",
            "test_socket_path_serves_the_redirects_of_its_origin",
            "test_what_a_redirect_says_at_length_is_not_read_for_a_stream",
        ),
        "test_response": (
            "test_json_of_what_is_none_is_a_decode_error",
            "test_json_with_a_type_decodes_into_it",
            "test_status_text_is_what_was_received_or_the_standard_one",
            "test_timings_are_seconds_of_each_phase",
            "test_trailers_are_kept",
        ),
        "test_response_types": (
            "test_a_decode_error_leaves_the_connection_usable",
            "test_blob_and_arraybuffer_are_bytes",
        ),
        "test_retry": (
            "test_a_body_beyond_its_limit_is_never_retried",
            "test_a_body_that_can_be_replayed_is_resent",
            "test_a_body_that_cannot_be_replayed_is_not_resent",
            "test_a_body_that_cannot_be_rewound_is_not_retried_and_the_error_says_so",
            "test_a_name_that_does_not_exist_is_not_tried_again",
            "test_a_new_connection_that_dies_is_no_reason_to_resend",
            "test_a_one_shot_body_is_retried_when_nothing_was_read_of_it",
            "test_a_phase_timeout_is_retried",
            "test_a_plain_call_has_one_attempt",
            "test_a_post_on_a_dead_reused_connection_may_have_been_sent",
            "test_a_post_with_an_idempotency_key_is_resent",
            "test_a_refused_connection_is_retried_with_any_method",
            "test_a_refused_stream_that_breaks_off_is_retried",
            "test_a_refused_stream_that_stalls_holds_nobody_up",
            "test_a_retry_does_not_try_one_dead_connection_after_the_other",
            "test_a_stream_that_was_handed_over_is_not_retried",
            "test_a_timeout_after_sending_is_no_reason_to_send_a_post_twice",
            "test_after_a_byte_of_response_nothing_is_resent",
            "test_an_attempt_timeout_is_retried",
            "test_an_error_of_another_call_that_a_body_raises_is_the_users",
            "test_an_idempotent_request_on_a_dead_reused_connection_is_resent_once",
            "test_attempt_timeout_ends_with_the_head_of_a_stream",
            "test_attempts_are_on_the_error",
            "test_condition_sees_errors_too",
            "test_errors_of_body_iterators_are_never_retried",
            "test_false_switches_off_the_safe_resend_too",
            "test_half_a_compressed_body_is_a_lost_connection",
            "test_it_is_resent_once_and_not_twice",
            "test_lost_connections_and_broken_http_are_not_retried_where_twice_may_harm",
            "test_lost_connections_and_broken_http_are_retried",
            "test_on_connect_error_false_leaves_refused_connections",
            "test_on_timeout_false_leaves_timeouts",
            "test_the_total_deadline_is_never_retried",
            "test_what_condition_and_on_retry_raise_leaves_no_stream_open",
            "test_with_retry_config_a_dead_reused_connection_is_an_attempt_like_any_other",
        ),
        "test_streams": (
            "test_a_forgotten_stream_is_closed_with_a_resource_warning_that_names_where_it_was_opened",
            "test_a_stream_is_an_iterator_of_bytes",
            "test_a_stream_of_the_network_holds_no_more_after_its_end",
            "test_a_stream_that_breaks_off_is_an_error_of_the_network",
            "test_back_pressure_reaches_the_server",
            "test_closed_early_the_connection_is_closed",
            "test_closing_the_client_closes_the_connection_of_a_stream_that_nobody_is_reading",
            "test_closing_the_client_ends_its_streams",
            "test_the_head_is_there_before_the_content",
            "test_trailers_are_there_when_the_stream_has_been_read",
            "test_with_closes_it",
        ),
        "test_transformers": (
            "test_the_stream_of_a_call_that_a_response_function_fails_is_closed",
            "test_what_they_raise_passes_through_unwrapped_with_its_own_traceback",
        ),
        "test_upload": (
            "test_a_post_that_may_have_arrived_is_not_sent_twice",
            "test_a_retry_sends_all_of_it_again",
            "test_aborted_by_a_callback",
            "test_an_answer_that_comes_early",
        ),
        "test_xsrf": ("test_sockets_are_told_apart",),
    },
    "counts connections, or what is left of them": {
        "test_auth": (
            "test_a_flow_answers_a_challenge",
            "test_a_flow_for_a_stream",
        ),
        "test_bodies": ("test_a_byte_more_or_less_than_the_content_length_aborts",),
        "test_headers": ("test_connection_close_by_the_caller_is_heeded",),
        "test_limits": ("test_bodies_of_known_size_fail_before_a_byte_is_sent",),
        "test_redirects": (
            "test_hops_on_one_origin_share_a_connection",
            "test_redirects_are_followed_for_a_stream",
            "test_the_content_of_a_redirect_is_never_decoded",
            "test_too_many_for_a_stream_leaves_nothing_open",
            "test_without_keep_alive_no_hop_reuses_a_connection",
        ),
        "test_retry": (
            "test_a_long_refused_stream_is_closed",
            "test_a_stream_is_retried_until_its_status_will_do",
            "test_a_stream_that_stays_refused_is_given_to_the_caller",
            "test_many_retries_leave_one_connection",
        ),
        "test_streams": (
            "test_a_stream_of_nothing_is_empty",
            "test_at_the_end_the_connection_returns_to_the_pool",
            "test_read_to_the_end_returns_the_connection_too",
        ),
    },
    "is about certificates": {
        "test_redirect_leaks": (
            "test_no_secret_on_the_wire_of_another_port_host_or_scheme",
            "test_the_client_certificate_is_shown_to_its_own_origin_only",
            "test_verification_holds_on_every_hop",
        ),
        "test_retry": (
            "test_a_certificate_file_that_is_not_there_is_not_tried_again",
            "test_a_certificate_is_not_tried_again",
            "test_a_handshake_that_was_cut_off_is_retried_with_any_method",
            "test_a_name_that_does_not_match_is_not_tried_again",
        ),
    },
    "is about HTTP/1.0, or the size of heads": {
        "test_progress": ("test_content_that_ends_with_the_connection_has_no_total",),
        "test_redirects": ("test_a_location_beyond_the_limit_of_heads_is_an_error",),
        "test_response": ("test_http_1_0_is_named",),
    },
}
