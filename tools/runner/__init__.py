"""What `make check`, `make oracle` and `make bench` share: running guests and reading reports."""
