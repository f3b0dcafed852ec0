"""What `make kselftest` needs besides the runner."""
