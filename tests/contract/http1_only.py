"""What is not run by HTTP/2: it is about HTTP/1.1 itself, or about connections that serve one call at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

# As many parameter sets of a test are run by HTTP/2: the other flavours go through all of them, and what can be lost
# between a policy and a protocol is lost for the first.
SETS: Final = 1
# Except where the sets are ways through the network, or the first one is left out.
CHOSEN_SETS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("test_cancellation", "test_it_ends_a_call_wherever_that_waits"): ("connect", "retry"),
    ("test_proxies", "test_everything_goes_through_every_kind"): (
        *("http-https", "https-https"),
        *("socks5-http", "socks5-https", "socks5h-http", "socks5h-https"),
    ),
    ("test_retry", "test_after_a_byte_of_response_nothing_is_resent"): ("HTTP/1.1 103 Early Hints\\r\\n\\r\\n",),
}
# Fixtures that stand for servers of HTTP/1.1.
HTTP1_FIXTURES: Final = ("nginx",)


def reason_to_leave_out(module: str, test: Callable[..., Any], fixtures: Any) -> str | None:
    """Why the test is not run by HTTP/2; None when it is."""
    if module in LEFT_OUT_FILES:
        return LEFT_OUT_FILES[module]
    if any(name in fixtures for name in HTTP1_FIXTURES):
        return "this nginx listens for HTTP/1.1"
    return next((reason for reason, files in LEFT_OUT.items() if test.__name__ in files.get(module, ())), None)


LEFT_OUT_FILES: Final = {
    "test_mock_adapter": "brings its own mocks",
    "test_asgi_adapter": "brings its own applications",
}

LEFT_OUT: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "looks for Transfer-Encoding": {
        "test_auth": ("test_content_that_can_be_read_once_is_no_error_where_it_is_read_once",),
        "test_bodies": (
            "test_a_file_without_position_is_sent_chunked",
            "test_an_iterator_is_sent_chunked",
        ),
        "test_transformers": ("test_what_it_returns_may_be_a_form_a_file_or_an_iterator",),
        "test_upload": ("test_what_has_no_size_is_sent_in_chunks",),
    },
    "looks for the field Connection": {
        "test_headers": (
            "test_a_call_may_keep_what_the_client_closes_each_time",
            "test_connection_close_by_the_caller_is_heeded",
        ),
        "test_redirects": ("test_without_keep_alive_no_hop_reuses_a_connection",),
        "test_routing": (
            "test_connections_are_kept_and_keep_alive_false_keeps_none",
            "test_keep_alive_false_sends_connection_close_and_reuses_nothing",
        ),
    },
    "is about HTTP/1.0, or names the version, or a reason phrase of its own": {
        "test_download": ("test_content_that_ends_with_the_connection",),
        "test_part_two": ("test_a_response_has_axioss_fields_and_more",),
        "test_progress": ("test_content_that_ends_with_the_connection_has_no_total",),
        "test_proxies": ("test_an_origin_of_http_1_0_behind_a_proxy",),
        "test_redirects": ("test_an_http_1_0_origin_may_redirect",),
        "test_response": (
            "test_a_response_says_everything",
            "test_http_1_0_is_named",
            "test_status_text_is_what_was_received_or_the_standard_one",
        ),
    },
    "counts connections that serve one call at a time, or close with it": {
        "test_all_and_spread": (
            "test_a_thousand_over_a_pool_of_a_hundred",
            "test_over_tls",
        ),
        "test_bodies": ("test_a_byte_more_or_less_than_the_content_length_aborts",),
        "test_cancellation": (
            "test_a_timeout_signal_ends_a_call",
            "test_a_stream_that_is_not_being_read_ends_with_the_next_read",
            "test_a_timeout_ends_the_reading_of_a_stream",
            "test_all_ends_with_the_first_call_that_is_aborted",
            "test_every_way_to_read_a_stream_is_ended",
            "test_one_signal_ends_many_calls",
            "test_one_timeout_ends_all_that_wait",
            "test_only_the_calls_of_the_signal_are_ended",
        ),
        "test_pool_stats": (
            "test_a_wait_that_ends_early_leaves_the_queue",
            "test_an_open_stream_is_not_idle",
            "test_calls_at_once",
            "test_calls_that_fail_are_not_reuse",
            "test_one_origin_does_not_starve_another",
            "test_the_limit_of_an_origin_is_its_own",
            "test_waiting_is_counted",
        ),
        "test_retry": ("test_a_long_refused_stream_is_closed",),
        "test_timeouts": ("test_a_pool_wait_that_times_out_says_what_is_busy",),
    },
    "is about what a proxy forwards: by HTTP/2 it is asked for a tunnel, whatever the scheme": {
        "test_proxies": (
            "test_a_cgi_programs_http_proxy_is_the_attackers",
            "test_a_config_that_has_travelled_finds_its_proxy",
            "test_a_connection_that_died_in_the_pool_is_replaced",
            "test_a_forwarded_answer_is_tried_again_as_any_other",
            "test_a_proxy_is_given_in_many_ways",
            "test_a_proxys_redirect_of_a_forwarded_request_is_an_ordinary_one",
            "test_a_redirect_from_a_unix_socket_goes_through_the_proxy",
            "test_a_redirect_keeps_the_proxy_and_what_it_is_told",
            "test_a_response_behind_the_last_one_poisons_nothing",
            "test_an_exchange_with_the_origin_keeps_what_the_proxy_is_told",
            "test_an_interceptor_may_choose_the_proxy",
            "test_no_character_gets_out_of_its_place",
            "test_no_proxy_holds_on_every_hop",
            "test_targets_have_proxies_of_their_own",
            "test_the_bytes_of_the_absolute_form",
            "test_the_callers_proxy_authorization_is_the_proxys_alone",
            "test_the_calls_proxy_is_nearer_than_the_clients",
            "test_the_environment_names_proxies",
            "test_what_a_proxy_answers_for_plain_http_is_a_response",
        ),
    },
    "looks at the client's port, which the gateway does not pass on": {
        "test_resolution": ("test_a_local_port_may_be_given_and_used_again",),
    },
    "is about the pieces that the chunked coding cuts content into": {
        "test_limits": ("test_a_stream_fails_where_it_crosses_and_not_before",),
    },
    "its peer is spoken to before any HTTP is, in TLS, or is a proxy that is asked for a tunnel, in HTTP/1.1": {
        "test_proxies": (
            "test_a_reset_during_connect",
            "test_a_tunnel_that_ends_before_tls_is_no_clear_text",
        ),
        "test_retry": (
            "test_a_handshake_that_was_cut_off_is_retried_with_any_method",
            "test_tls_that_breaks_after_the_request_is_no_reason_to_send_a_post_twice",
        ),
    },
    "counts fields that are pieces of a cookie, which an origin of HTTP/2 joins": {
        "test_cookies": ("test_several_explicit_fields_go_as_they_are",),
    },
    "makes its client itself": {
        "test_life": ("test_create_on_the_class_makes_a_client",),
    },
}
