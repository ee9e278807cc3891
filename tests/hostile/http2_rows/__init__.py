"""What a peer says on HTTP/2, in tables. `row` says what a row is, `table` has all of them."""
